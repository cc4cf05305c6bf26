import { TemplateParseError, type Token, tokenize } from './lexer.ts';
import { unquote } from './unquote.ts';

export interface Position {
  line: number;
  /** Counted from 0, in bytes of the line, where Go's errors point. */
  column: number;
  /** The source of the expression, as errors quote it. */
  text: string;
}

export type Expression = Position &
  (
    | { kind: 'dot' | 'nil' }
    | { kind: 'literal'; value: string | number | boolean }
    | { kind: 'field'; path: string[] }
    | { kind: 'variable'; name: string; path: string[] }
    | { kind: 'chain'; target: Expression; path: string[] }
    | { kind: 'function'; name: string }
    | { kind: 'pipe'; pipe: Pipeline }
  );

export type CommandNode = Position & { words: Expression[] };

export interface Pipeline {
  declare: string[];
  assign: boolean;
  commands: CommandNode[];
}

export type TemplateNode =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipeline }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipeline; body: TemplateNode[]; otherwise: TemplateNode[] }
  | { kind: 'template'; name: string; pipe: Pipeline | undefined; line: number }
  | { kind: 'break' | 'continue' };

export interface ParsedTemplate {
  root: TemplateNode[];
  defined: Map<string, TemplateNode[]>;
}

const EOF: Token = { kind: 'space', text: '', line: 0, column: 0 };

/** Parses the subset of Go's template language that has no state of its own: all of it, but for `block` being a `define`. */
export function parseTemplate(source: string, functions: ReadonlySet<string>, name = ''): ParsedTemplate {
  return new Parser(tokenize(name, source), source, functions, name).parse();
}

class Parser {
  readonly #tokens: Token[];
  readonly #functions: ReadonlySet<string>;
  readonly #name: string;
  readonly #lastLine: number;
  readonly #defined = new Map<string, TemplateNode[]>();
  #variables: string[] = ['$'];
  #ranges = 0;
  #at = 0;

  constructor(tokens: Token[], source: string, functions: ReadonlySet<string>, name: string) {
    this.#tokens = tokens;
    this.#functions = functions;
    this.#name = name;
    this.#lastLine = source.split('\n').length;
  }

  parse(): ParsedTemplate {
    const { nodes, end } = this.#list('');
    if (end !== '') throw this.#fail(`unexpected {{${end}}}`);
    return { root: nodes, defined: this.#defined };
  }

  /** Nodes up to an `end` or `else` that closes them; which of the two it was. */
  #list(inside: string): { nodes: TemplateNode[]; end: string } {
    const nodes: TemplateNode[] = [];
    for (;;) {
      const token = this.#next();
      if (token === EOF) {
        if (inside !== '') throw this.#fail('unexpected EOF');
        return { nodes, end: '' };
      }
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      this.#spaces();
      const word = this.#peek();
      if (word.kind === 'identifier' && (word.text === 'end' || word.text === 'else')) {
        this.#next();
        if (word.text === 'end') this.#close('end');
        return { nodes, end: word.text };
      }
      const node = this.#action();
      if (node) nodes.push(node);
    }
  }

  #action(): TemplateNode | undefined {
    const word = this.#peek();
    if (word.kind === 'identifier') {
      switch (word.text) {
        case 'if':
        case 'with':
        case 'range':
          this.#next();
          return this.#control(word.text);
        case 'break':
        case 'continue':
          this.#next();
          this.#close(word.text);
          if (this.#ranges === 0) throw this.#fail(`{{${word.text}}} outside {{range}}`);
          return { kind: word.text };
        case 'template':
          this.#next();
          return this.#template();
        case 'define':
        case 'block':
          this.#next();
          return this.#define(word.text);
        default:
      }
    }
    return { kind: 'action', pipe: this.#pipeline('command', 'close') };
  }

  #control(kind: 'if' | 'with' | 'range'): TemplateNode {
    const outer = [...this.#variables];
    const pipe = this.#pipeline(kind, 'close');
    if (kind === 'range') this.#ranges++;
    const { nodes, end } = this.#list(kind);
    if (kind === 'range') this.#ranges--;
    let otherwise: TemplateNode[] = [];
    if (end === 'else') {
      this.#spaces();
      const word = this.#peek();
      if (word.kind === 'identifier' && (word.text === kind || (word.text === 'if' && kind === 'if'))) {
        this.#next();
        otherwise = [this.#control(kind)];
      } else {
        this.#close('else');
        const rest = this.#list(kind);
        if (rest.end === 'else') throw this.#fail('expected end; found {{else}}');
        otherwise = rest.nodes;
      }
    }
    this.#variables = outer;
    return { kind, pipe, body: nodes, otherwise };
  }

  #template(): TemplateNode {
    this.#spaces();
    const name = this.#next();
    if (name.kind !== 'string' && name.kind !== 'raw') throw this.#unexpected(name, 'template clause');
    this.#spaces();
    const pipe = this.#peek().kind === 'close' ? undefined : this.#pipeline('template clause', 'close');
    if (!pipe) this.#close('template clause');
    return { kind: 'template', name: unquote(name.text), pipe, line: name.line };
  }

  #define(kind: 'define' | 'block'): TemplateNode | undefined {
    this.#spaces();
    const name = this.#next();
    if (name.kind !== 'string' && name.kind !== 'raw') throw this.#unexpected(name, `${kind} clause`);
    let pipe: Pipeline | undefined;
    if (kind === 'block') pipe = this.#pipeline('block clause', 'close');
    else this.#close('define clause');
    const outer = this.#variables;
    this.#variables = ['$'];
    const { nodes } = this.#list(kind);
    this.#variables = outer;
    this.#defined.set(unquote(name.text), nodes);
    if (kind === 'define') return undefined;
    return { kind: 'template', name: unquote(name.text), pipe, line: name.line };
  }

  #pipeline(context: string, end: 'close' | 'right'): Pipeline {
    const pipe: Pipeline = { declare: [], assign: false, commands: [] };
    this.#declarations(pipe, context);
    for (;;) {
      this.#spaces();
      const token = this.#peek();
      if (token.kind === end) {
        this.#next();
        if (pipe.commands.length === 0) throw this.#fail(`missing value for ${context}`, token.line);
        this.#checkPipeline(pipe);
        return pipe;
      }
      pipe.commands.push(this.#command(context));
    }
  }

  #declarations(pipe: Pipeline, context: string): void {
    const start = this.#at;
    const names: string[] = [];
    for (;;) {
      this.#spaces();
      const variable = this.#next();
      if (variable.kind !== 'variable') break;
      names.push(variable.text);
      this.#spaces();
      const after = this.#next();
      if (after.kind === 'declare' || after.kind === 'assign') {
        for (const name of names) {
          if (after.kind === 'declare') this.#variables.push(name);
          else if (!this.#variables.includes(name))
            throw this.#fail(`undefined variable ${JSON.stringify(name)}`, after.line);
        }
        pipe.declare = names;
        pipe.assign = after.kind === 'assign';
        return;
      }
      if (after.kind !== 'comma') break;
      if (context !== 'range' || names.length > 1)
        throw this.#fail(`too many declarations in ${context}`, after.line);
    }
    this.#at = start;
  }

  #command(context: string): CommandNode {
    const words: Expression[] = [];
    for (;;) {
      this.#spaces();
      const operand = this.#operand();
      if (operand) words.push(operand);
      const token = this.#peek();
      if (token.kind === 'space') continue;
      if (token.kind === 'pipe') {
        this.#next();
        break;
      }
      if (token.kind === 'close' || token.kind === 'right') break;
      throw this.#unexpected(token, operand ? 'operand' : context);
    }
    const [first] = words;
    if (!first) throw this.#fail('empty command');
    return { line: first.line, column: first.column, text: words.map((word) => word.text).join(' '), words };
  }

  #operand(): Expression | undefined {
    const token = this.#peek();
    const term = this.#term(token);
    if (!term) return undefined;
    if (this.#peek().kind !== 'field') return term;
    const path: string[] = [];
    let text = term.text;
    while (this.#peek().kind === 'field') {
      const field = this.#next();
      path.push(field.text.slice(1));
      text += field.text;
    }
    const place = { line: term.line, column: term.column, text };
    if (term.kind === 'field') return { ...place, kind: 'field', path: [...term.path, ...path] };
    if (term.kind === 'variable') return { ...place, kind: 'variable', name: term.name, path };
    if (term.kind === 'literal' || term.kind === 'nil') {
      throw this.#fail(`unexpected . after term ${JSON.stringify(term.text)}`, token.line);
    }
    return { ...place, kind: 'chain', target: term, path };
  }

  #term(token: Token): Expression | undefined {
    const place = { line: token.line, column: token.column, text: token.text };
    switch (token.kind) {
      case 'dot':
        this.#next();
        return { ...place, kind: 'dot' };
      case 'field':
        this.#next();
        return { ...place, kind: 'field', path: [token.text.slice(1)] };
      case 'variable':
        this.#next();
        if (!this.#variables.includes(token.text)) {
          throw this.#fail(`undefined variable ${JSON.stringify(token.text)}`, token.line);
        }
        return { ...place, kind: 'variable', name: token.text, path: [] };
      case 'identifier':
        this.#next();
        if (token.text === 'nil') return { ...place, kind: 'nil' };
        if (token.text === 'true' || token.text === 'false') {
          return { ...place, kind: 'literal', value: token.text === 'true' };
        }
        if (!this.#functions.has(token.text)) {
          throw this.#fail(`function ${JSON.stringify(token.text)} not defined`, token.line);
        }
        return { ...place, kind: 'function', name: token.text };
      case 'string':
      case 'raw':
        this.#next();
        return { ...place, kind: 'literal', value: unquote(token.text) };
      case 'character':
        this.#next();
        return { ...place, kind: 'literal', value: unquote(token.text).codePointAt(0) ?? 0 };
      case 'number':
        this.#next();
        return { ...place, kind: 'literal', value: Number(token.text.replaceAll('_', '')) };
      case 'left': {
        this.#next();
        const start = this.#at;
        const pipe = this.#pipeline('parenthesized pipeline', 'right');
        const text = this.#tokens
          .slice(start, this.#at)
          .map((part) => part.text)
          .join('');
        return { ...place, text: `(${text}`, kind: 'pipe', pipe };
      }
      default:
        return undefined;
    }
  }

  /** Behind a `|` only something that can be called makes sense. */
  #checkPipeline(pipe: Pipeline): void {
    for (const [index, command] of pipe.commands.entries()) {
      const [first] = command.words;
      if (index > 0 && first && (first.kind === 'literal' || first.kind === 'dot' || first.kind === 'nil')) {
        throw this.#fail(`non executable command in pipeline stage ${index + 1}`, first.line);
      }
    }
  }

  #close(context: string): void {
    this.#spaces();
    const token = this.#next();
    if (token.kind !== 'close') throw this.#unexpected(token, context);
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? EOF;
  }

  #next(): Token {
    return this.#tokens[this.#at++] ?? EOF;
  }

  #spaces(): void {
    while (this.#peek().kind === 'space' && this.#peek() !== EOF) this.#at++;
  }

  #unexpected(token: Token, context: string): TemplateParseError {
    const shown =
      token === EOF
        ? 'EOF'
        : token.kind === 'identifier' && KEYWORDS.has(token.text)
          ? `<${token.text}>`
          : JSON.stringify(token.text);
    return this.#fail(`unexpected ${shown} in ${context}`, token.line);
  }

  #fail(reason: string, line?: number): TemplateParseError {
    return new TemplateParseError(
      this.#name,
      line || this.#tokens[this.#at - 1]?.line || this.#lastLine,
      reason,
    );
  }
}

const KEYWORDS = new Set([
  'if',
  'else',
  'end',
  'range',
  'with',
  'template',
  'define',
  'block',
  'break',
  'continue',
]);
