/** Orders names as people do: `a2` before `a10`. (The collator of Intl would cost a command 4 ms to load.) */
export function naturalOrder(a: string, b: string): number {
  const left = a.split(/(\d+)/);
  const right = b.split(/(\d+)/);
  for (let part = 0; part < left.length && part < right.length; part++) {
    const [x = '', y = ''] = [left[part], right[part]];
    // The odd parts are the numbers.
    const difference = part % 2 === 1 ? Number(x) - Number(y) : 0;
    if (difference !== 0) return difference;
    if (x !== y) return x < y ? -1 : 1;
  }
  return left.length - right.length;
}
