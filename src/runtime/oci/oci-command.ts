import path from 'node:path';

/** The command lines of an OCI runtime: crun and runc take the same ones. */
export class OciCommand {
  readonly #binary: string;
  readonly #root: string;

  /** `root` is where the runtime keeps its state (`--root`). */
  constructor(binary: string, root: string) {
    this.#binary = binary;
    this.#root = root;
  }

  /** Runs a bundle's process and leaves it to whoever adopts orphans; its pid goes to `pid` in the monitor's directory. */
  run(id: string, bundle: string, directory: string, terminal: boolean): string[] {
    return [
      ...this.#logged(directory),
      'run',
      '--detach',
      '--bundle',
      bundle,
      ...files(directory, terminal),
      id,
    ];
  }

  exec(id: string, directory: string, processFile: string, terminal: boolean): string[] {
    return [
      ...this.#logged(directory),
      'exec',
      '--detach',
      '--process',
      processFile,
      ...files(directory, terminal),
      id,
    ];
  }

  update(id: string, resourcesFile: string): string[] {
    return [...this.#base, 'update', '--resources', resourcesFile, id];
  }

  delete(id: string): string[] {
    return [...this.#base, 'delete', '--force', id];
  }

  /** Runs a bundle to its end in the foreground. */
  runForeground(id: string, bundle: string): string[] {
    return [...this.#base, 'run', '--bundle', bundle, id];
  }

  stateDirectory(id: string): string {
    return path.join(this.#root, id);
  }

  get #base(): string[] {
    return [this.#binary, '--root', this.#root];
  }

  #logged(directory: string): string[] {
    return [...this.#base, '--log', path.join(directory, 'log'), '--log-format', 'json'];
  }
}

function files(directory: string, terminal: boolean): string[] {
  const pid = ['--pid-file', path.join(directory, 'pid')];
  return terminal ? [...pid, '--console-socket', path.join(directory, 'tty')] : pid;
}
