/** Tokens of Go's text/template. Text outside of actions is one token; actions are taken apart. */
export type Token =
  | { kind: 'text'; text: string; line: number; column: number }
  | {
      kind: 'open' | 'close' | 'space' | 'pipe' | 'left' | 'right' | 'comma' | 'assign' | 'declare' | 'dot';
      text: string;
      line: number;
      column: number;
    }
  | {
      kind: 'field' | 'variable' | 'identifier' | 'string' | 'raw' | 'character' | 'number';
      text: string;
      line: number;
      column: number;
    };

/** The template itself is wrong, in Go's words. */
export class TemplateParseError extends Error {
  override readonly name = 'TemplateParseError';

  constructor(name: string, line: number, reason: string) {
    super(`template: ${name}:${line}: ${reason}`);
  }
}

const PATTERNS: readonly [Token['kind'], RegExp][] = [
  ['space', /\s+/y],
  ['declare', /:=/y],
  ['assign', /=/y],
  ['pipe', /\|/y],
  ['left', /\(/y],
  ['right', /\)/y],
  ['comma', /,/y],
  ['string', /"(?:[^"\\\n]|\\.)*"/y],
  ['raw', /`[^`]*`/y],
  ['character', /'(?:[^'\\\n]|\\.)+'/y],
  [
    'number',
    /[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y,
  ],
  ['field', /\.[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ['dot', /\./y],
  ['variable', /\$[\p{L}\p{Nd}_]*/uy],
  ['identifier', /[\p{L}_][\p{L}\p{Nd}_]*/uy],
];

export function tokenize(name: string, source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trim = false;
  const lineOf = (index: number): number => source.slice(0, index).split('\n').length;
  const columnOf = (index: number): number => index - (source.lastIndexOf('\n', index - 1) + 1);
  while (at < source.length) {
    const open = source.indexOf('{{', at);
    let text = source.slice(at, open === -1 ? undefined : open);
    if (trim) text = text.trimStart();
    const trimLeft = open !== -1 && /^-\s/.test(source.slice(open + 2, open + 4));
    if (trimLeft) text = text.trimEnd();
    if (text !== '') tokens.push({ kind: 'text', text, line: lineOf(at), column: columnOf(at) });
    if (open === -1) break;
    at = open + (trimLeft ? 3 : 2);
    const comment = /\s*\/\*[\s\S]*?\*\/(\s+-)?\}\}/y;
    comment.lastIndex = at;
    if (/^\s*\/\*/.test(source.slice(at))) {
      const found = comment.exec(source);
      if (!found) {
        const unclosed = !source.slice(at).includes('*/');
        throw new TemplateParseError(
          name,
          lineOf(open),
          unclosed ? 'unclosed comment' : 'comment ends before closing delimiter',
        );
      }
      trim = found[1] !== undefined;
      at = comment.lastIndex;
      continue;
    }
    tokens.push({ kind: 'open', text: '{{', line: lineOf(open), column: columnOf(open) });
    let depth = 0;
    for (;;) {
      const rest = source.slice(at);
      const trimmed = /^\s+-\}\}/.exec(rest);
      const close = trimmed?.[0] ?? (rest.startsWith('}}') ? '}}' : undefined);
      const line = lineOf(at);
      if (close !== undefined) {
        if (depth > 0) throw new TemplateParseError(name, line, 'unclosed left paren');
        tokens.push({ kind: 'close', text: '}}', line, column: columnOf(at) });
        at += close.length;
        trim = trimmed !== null;
        break;
      }
      if (rest === '') throw new TemplateParseError(name, line, 'unclosed action');
      const token = nextToken(name, source, at, line);
      if (token.kind === 'left') depth++;
      if (token.kind === 'right' && --depth < 0)
        throw new TemplateParseError(name, line, 'unexpected right paren');
      tokens.push({ ...token, column: columnOf(at) });
      at += token.text.length;
    }
  }
  return tokens;
}

function nextToken(name: string, source: string, at: number, line: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (!match) continue;
    const text = match[0];
    const next = source.slice(at + text.length);
    if (kind === 'number' && /^[\p{L}\p{Nd}_]/u.test(next)) {
      throw new TemplateParseError(name, line, `bad number syntax: ${JSON.stringify(`${text}${next[0]}`)}`);
    }
    if ((kind === 'field' || kind === 'identifier' || kind === 'variable') && !endsWord(next)) {
      throw new TemplateParseError(name, line, `bad character ${describe(next)}`);
    }
    return { kind, text, line, column: 0 };
  }
  const rest = source.slice(at);
  if (rest.startsWith('"')) throw new TemplateParseError(name, line, 'unterminated quoted string');
  if (rest.startsWith('`')) throw new TemplateParseError(name, line, 'unterminated raw quoted string');
  if (rest.startsWith("'")) throw new TemplateParseError(name, line, 'unterminated character constant');
  throw new TemplateParseError(name, line, `unrecognized character in action: ${describe(rest)}`);
}

/** What may stand right behind a word. */
function endsWord(next: string): boolean {
  return next === '' || /^[\s.,|:()=}]/.test(next);
}

/** A character as Go's `%#U` shows it. */
function describe(text: string): string {
  const code = text.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')} '${String.fromCodePoint(code)}'`;
}
