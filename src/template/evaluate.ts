import { messageOf } from '#/base/errors.ts';
import { callFunction, FUNCTION_NAMES, type TemplateFunction, WrongArguments } from './functions.ts';
import {
  type CommandNode,
  type Expression,
  type ParsedTemplate,
  parseTemplate,
  type Pipeline,
  type TemplateNode,
} from './parser.ts';
import { display, isMap, isStruct, isTrue, sortedKeys, typeName, type Value } from './values.ts';

/** Running the template failed, in Go's words. */
export class TemplateExecutionError extends Error {
  override readonly name = 'TemplateExecutionError';
}

export interface TemplateOptions {
  /** A map without the key fails instead of giving no value. */
  missingKeyFails?: boolean;
  /** What errors call the template; nothing, unless given. */
  name?: string;
}

export type Template = (data: Value) => string;

/** Compiles a Go template. Throws a `TemplateParseError`; the template throws a `TemplateExecutionError`. */
export function compileTemplate(source: string, options: TemplateOptions = {}): Template {
  const parsed = parseTemplate(source, FUNCTION_NAMES, options.name);
  return (data) => new Evaluation(parsed, options).run(data);
}

function isScalar(value: Value): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

class LoopExit extends Error {
  readonly kind: 'break' | 'continue';

  constructor(kind: 'break' | 'continue') {
    super(kind);
    this.kind = kind;
  }
}

interface Variable {
  name: string;
  value: Value;
}

class Evaluation {
  readonly #template: ParsedTemplate;
  readonly #options: TemplateOptions;
  #variables: Variable[] = [];
  #out = '';

  constructor(template: ParsedTemplate, options: TemplateOptions) {
    this.#template = template;
    this.#options = options;
  }

  run(data: Value): string {
    this.#variables = [{ name: '$', value: data }];
    this.#walk(this.#template.root, data);
    return this.#out;
  }

  #walk(nodes: readonly TemplateNode[], dot: Value): void {
    for (const node of nodes) this.#node(node, dot);
  }

  #node(node: TemplateNode, dot: Value): void {
    switch (node.kind) {
      case 'text':
        this.#out += node.text;
        return;
      case 'action': {
        const value = this.#pipeline(node.pipe, dot);
        if (node.pipe.declare.length === 0) this.#out += display(value);
        return;
      }
      case 'break':
      case 'continue':
        throw new LoopExit(node.kind);
      case 'template':
        this.#call(node.name, node.pipe ? this.#pipeline(node.pipe, dot) : undefined);
        return;
      default:
        this.#scoped(() => this.#control(node, dot));
    }
  }

  #control(node: TemplateNode & { kind: 'if' | 'with' | 'range' }, dot: Value): void {
    const value = this.#pipeline(node.pipe, dot, node.kind === 'range');
    if (node.kind === 'range') return this.#range(node, value, dot);
    if (!isTrue(value)) return this.#walk(node.otherwise, dot);
    return this.#walk(node.body, node.kind === 'with' ? value : dot);
  }

  #range(node: TemplateNode & { kind: 'range' | 'if' | 'with' }, value: Value, dot: Value): void {
    const [command] = node.pipe.commands;
    const items = this.#items(value, command);
    if (items.length === 0) return this.#walk(node.otherwise, dot);
    const { declare, assign } = node.pipe;
    for (const [key, item] of items) {
      const scope = [...this.#variables];
      const [first, second] = declare;
      if (first !== undefined) this.#set(first, second === undefined ? item : key, assign);
      if (second !== undefined) this.#set(second, item, assign);
      let exit: LoopExit | undefined;
      try {
        this.#walk(node.body, item);
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error;
        exit = error;
      }
      this.#variables = scope;
      if (exit?.kind === 'break') return undefined;
    }
    return undefined;
  }

  #items(value: Value, command: CommandNode | undefined): [Value, Value][] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item, index) => [index, item]);
    if (isMap(value)) return sortedKeys(value).map((key) => [key, value[key]]);
    if (typeof value === 'number') return [...Array(Math.max(0, value)).keys()].map((n) => [n, n]);
    throw this.#fail(command, `range can't iterate over ${display(value)}`);
  }

  #call(name: string, data: Value): void {
    const nodes = this.#template.defined.get(name);
    if (!nodes)
      throw new TemplateExecutionError(
        `template: :1:0: executing "" at <{{template ${JSON.stringify(name)}}}>: template ${JSON.stringify(name)} not defined`,
      );
    const outer = this.#variables;
    this.#variables = [{ name: '$', value: data }];
    this.#walk(nodes, data);
    this.#variables = outer;
  }

  #scoped(run: () => void): void {
    const depth = this.#variables.length;
    run();
    this.#variables.length = depth;
  }

  #pipeline(pipe: Pipeline, dot: Value, range = false): Value {
    let value: Value;
    for (const [index, command] of pipe.commands.entries()) {
      value = this.#command(command, dot, index === 0 ? [] : [value]);
    }
    if (!range) for (const name of pipe.declare) this.#set(name, value, pipe.assign);
    return value;
  }

  #set(name: string, value: Value, assign: boolean): void {
    const existing = assign ? this.#variables.findLast((variable) => variable.name === name) : undefined;
    if (existing) existing.value = value;
    else this.#variables.push({ name, value });
  }

  #command(command: CommandNode, dot: Value, piped: readonly Value[]): Value {
    const [first, ...rest] = command.words;
    if (!first) return undefined;
    switch (first.kind) {
      case 'function': {
        return this.#function(first, command, rest, dot, piped);
      }
      case 'field':
      case 'variable':
      case 'chain':
        return this.#path(first, dot, [...rest.map((word) => this.#operand(word, dot)), ...piped]);
      default:
        if (rest.length > 0 || piped.length > 0) {
          throw this.#fail(first, `can't give argument to non-function ${first.text}`);
        }
        if (first.kind === 'nil') throw this.#fail(first, 'nil is not a command');
        return this.#operand(first, dot);
    }
  }

  #function(
    first: Expression & { kind: 'function' },
    command: CommandNode,
    rest: readonly Expression[],
    dot: Value,
    piped: readonly Value[],
  ): Value {
    // "and" and "or" stop at the first operand that decides.
    if (first.name === 'and' || first.name === 'or') {
      let value: Value;
      for (const word of rest) {
        value = this.#operand(word, dot);
        if (isTrue(value) === (first.name === 'or')) return value;
      }
      if (piped.length > 0) return piped[0];
      return value;
    }
    const args = [...rest.map((word) => this.#operand(word, dot)), ...piped];
    try {
      return callFunction(first.name, args);
    } catch (error) {
      if (error instanceof TemplateExecutionError) throw error;
      if (error instanceof WrongArguments)
        throw this.#fail(
          rest[0] && !messageOf(error).startsWith('wrong number') ? rest[0] : first,
          messageOf(error),
        );
      throw this.#fail(
        command.words.length > 1 ? command : first,
        `error calling ${first.name}: ${messageOf(error)}`,
      );
    }
  }

  #operand(expression: Expression, dot: Value): Value {
    switch (expression.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'literal':
        return expression.value;
      case 'pipe':
        return this.#pipeline(expression.pipe, dot);
      case 'function':
        return this.#command({ ...expression, words: [expression] }, dot, []);
      default:
        return this.#path(expression, dot, []);
    }
  }

  #path(expression: Expression, dot: Value, args: readonly Value[]): Value {
    let value: Value = dot;
    let path: readonly string[] = [];
    if (expression.kind === 'field') path = expression.path;
    if (expression.kind === 'variable') {
      value = this.#variables.findLast((variable) => variable.name === expression.name)?.value;
      path = expression.path;
    }
    if (expression.kind === 'chain') {
      value = this.#operand(expression.target, dot);
      path = expression.path;
    }
    if (path.length === 0 && args.length > 0) {
      throw this.#fail(expression, `can't give argument to non-function ${expression.text}`);
    }
    // What a map holds is known to Go as an interface only.
    let held = false;
    for (const [index, name] of path.entries()) {
      const last = index === path.length - 1;
      const fromMap = isMap(value);
      if (index > 0 && held && isScalar(value)) {
        throw this.#fail(expression, `can't evaluate field ${name} in type interface {}`);
      }
      value = this.#field(expression, value, name, last ? args : []);
      held = fromMap;
    }
    return value;
  }

  #field(expression: Expression, target: Value, name: string, args: readonly Value[]): Value {
    // Go points at the last of a chain of fields.
    if (target === undefined) {
      if (this.#options.missingKeyFails)
        throw this.#fail(expression, `nil data; no entry for key ${JSON.stringify(name)}`);
      return undefined;
    }
    if (target === null) throw this.#fail(expression, `nil pointer evaluating interface {}.${name}`);
    if (isMap(target)) {
      if (args.length > 0) throw this.#fail(expression, `${name} is not a method but has arguments`);
      if (Object.hasOwn(target, name)) return target[name];
      if (this.#options.missingKeyFails)
        throw this.#fail(expression, `map has no entry for key ${JSON.stringify(name)}`);
      return undefined;
    }
    if (!isStruct(target)) {
      throw this.#fail(expression, `can't evaluate field ${name} in type ${typeName(target)}`);
    }
    const value = target.get(name);
    if (value === undefined) {
      const reason = target.missingKey?.(name) ?? `can't evaluate field ${name} in type ${target.goType}`;
      throw this.#fail(expression, reason);
    }
    if (typeof value === 'function') {
      if (args.length === 0) throw this.#fail(expression, `wrong number of args for ${name}: want 1 got 0`);
      return (value as TemplateFunction)(...args);
    }
    if (args.length > 0)
      throw this.#fail(expression, `${name} has arguments but cannot be invoked as function`);
    return value;
  }

  #fail(
    at: { line: number; column: number; text: string } | undefined,
    reason: string,
  ): TemplateExecutionError {
    const { line = 1, column = 0, text = '' } = at ?? {};
    const { name = '' } = this.#options;
    const shown = text.length > 20 ? `${text.slice(0, 20)}...` : text;
    // A chain of fields is pointed at by its last dot.
    const fields = /^(?:\.\w+)+$/.test(text) ? text.lastIndexOf('.') : 0;
    return new TemplateExecutionError(
      `template: ${name}:${line}:${column + fields}: executing "${name}" at <${shown}>: ${reason}`,
    );
  }
}
