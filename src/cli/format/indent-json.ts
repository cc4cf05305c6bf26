/** Indents JSON text by four spaces and changes nothing else of it: Go's json.Indent. */
export function indentJson(text: string): string {
  let out = '';
  let depth = 0;
  let at = 0;
  const newline = (): string => `\n${'    '.repeat(depth)}`;
  while (at < text.length) {
    const character = text[at] ?? '';
    if (character === '"') {
      const end = stringEnd(text, at);
      out += text.slice(at, end);
      at = end;
      continue;
    }
    at++;
    if (/\s/.test(character)) continue;
    if (character === '{' || character === '[') {
      const close = nextSolid(text, at);
      if (text[close] === '}' || text[close] === ']') {
        out += character + text[close];
        at = close + 1;
        continue;
      }
      depth++;
      out += character + newline();
    } else if (character === '}' || character === ']') {
      depth--;
      out += newline() + character;
    } else if (character === ',') out += character + newline();
    else if (character === ':') out += ': ';
    else out += character;
  }
  return out;
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function nextSolid(text: string, start: number): number {
  let at = start;
  while (/\s/.test(text[at] ?? '')) at++;
  return at;
}
