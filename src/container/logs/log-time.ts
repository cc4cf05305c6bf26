/** An RFC 3339 time with all nine digits of its fraction, so that the columns of `logs -t` line up as Docker's do. */
export function formatNanosFixed(time: string): string {
  const match = /^(.*?)(?:\.(\d+))?Z$/.exec(time);
  if (match === null) return time;
  return `${match[1]}.${(match[2] ?? '').padEnd(9, '0')}Z`;
}
