/** The lines of a stream of JSON documents, one a line, as `events`, `pull` and `load` answer. */
export async function* documentLines(body: AsyncIterable<Buffer>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    let end: number;
    while ((end = rest.indexOf('\n')) !== -1) {
      const line = rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
      if (line !== '') yield line;
    }
  }
  if (rest.trim() !== '') yield rest.trim();
}

/** The same, decoded. */
export async function* jsonLines<T>(body: AsyncIterable<Buffer>): AsyncGenerator<T, void, undefined> {
  for await (const line of documentLines(body)) yield JSON.parse(line) as T;
}
