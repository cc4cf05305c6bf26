import { readFileSync } from 'node:fs';
import { Module } from 'node:module';
import path from 'node:path';
import { Script } from 'node:vm';

/**
 * What `bin/hull` runs: the bundled client beside this file, with the code V8 made of it when it was built. To compile it
 * anew costs a command 8 ms of its 55 (medians, 2-core host); a startup snapshot is slower than either, for it is 7 MB to read,
 * and one bundle for each command still 4 ms slower than this.
 */
const directory = path.dirname(process.argv[1] ?? '');
const filename = path.join(directory, 'hull-main.cjs');
const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), {
  filename,
  cachedData: readCache(path.join(directory, 'hull-main.cache')),
});
const main = script.runInThisContext() as (...scope: unknown[]) => void;
const module = new Module(filename);
main(module.exports, Module.createRequire(filename), module, filename, directory);

/** Without the cache, or with one of another V8, the bundle is compiled as any script is. */
function readCache(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
