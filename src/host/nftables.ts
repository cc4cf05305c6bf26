import { spawnSync } from 'node:child_process';
import koffi from 'koffi';
import { internal } from '#/base/errors.ts';

/** The C library's `struct nft_ctx`, as koffi holds it. */
type Context = object;

interface Libnftables {
  run(script: string): string;
  close(): void;
}

const NFT_CTX_DEFAULT = 0;
const PROGRAM_DEADLINE_MS = 10_000;

/**
 * The kernel's packet rules in nft's own language (nft(8)), through libnftables. One `run` is one transaction: all of the
 * script takes effect at once, or nothing of it. Where the library is missing, the program `nft` does the same, at the
 * price of a process each.
 */
export class NftablesContext implements Disposable {
  readonly #backend: Libnftables;

  constructor() {
    this.#backend = openLibrary() ?? { run: runProgram, close: () => {} };
  }

  /** What the script prints (`list …`), mostly nothing. Throws with nft's words when the kernel or nft refuses it. */
  run(script: string): string {
    return this.#backend.run(script);
  }

  [Symbol.dispose](): void {
    this.#backend.close();
  }
}

function openLibrary(): Libnftables | undefined {
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libnftables.so.1');
  } catch {
    return undefined;
  }
  const create = library.func('nft_ctx_new', 'void *', ['uint32_t']) as (flags: number) => Context | null;
  const context = create(NFT_CTX_DEFAULT);
  if (context === null) throw internal('Cannot use nftables: libnftables gives no context');
  const onContext = (name: string, result: 'int' | 'str' | 'void'): ((context: Context) => unknown) =>
    library.func(name, result, ['void *']) as (context: Context) => unknown;
  onContext('nft_ctx_buffer_output', 'int')(context);
  onContext('nft_ctx_buffer_error', 'int')(context);
  const output = onContext('nft_ctx_get_output_buffer', 'str') as (context: Context) => string | null;
  const error = onContext('nft_ctx_get_error_buffer', 'str') as (context: Context) => string | null;
  const free = onContext('nft_ctx_free', 'void');
  const run = library.func('nft_run_cmd_from_buffer', 'int', ['void *', 'str']) as (
    context: Context,
    script: string,
  ) => number;
  return {
    run(script) {
      if (run(context, script) !== 0) throw refused(error(context) ?? '');
      return output(context) ?? '';
    },
    close: () => free(context),
  };
}

function runProgram(script: string): string {
  const options = { input: script, encoding: 'utf8', timeout: PROGRAM_DEADLINE_MS } as const;
  const result = spawnSync('nft', ['-f', '-'], options);
  if (result.error !== undefined) {
    const why = 'neither libnftables.so.1 nor the program "nft" can be used; install the package "nftables"';
    throw internal(`Cannot use nftables: ${why}`, { cause: result.error });
  }
  if (result.status !== 0) throw refused(result.stderr);
  return result.stdout;
}

/** nft repeats the line and underlines the place: for a log one line with the sentence is enough. */
function refused(words: string): Error {
  const sentences = words.split('\n').filter((line) => line.includes('Error:'));
  return internal(
    `Cannot change the packet rules: ${(sentences.length > 0 ? sentences : [words]).join('; ').trim()}`,
  );
}
