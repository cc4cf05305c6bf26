import path from 'node:path';

const SYSTEMD = '--systemd-cgroup';

/** The command lines of an OCI runtime: crun and runc take the same ones. */
export class OciCommand {
  readonly #binary: string;
  readonly #root: string;

  /** `root` is where the runtime keeps its state (`--root`). */
  constructor(binary: string, root: string) {
    this.#binary = binary;
    this.#root = root;
  }

  /**
   * Runs a bundle's process and leaves it to whoever adopts orphans; its pid goes to `pid` in the monitor's directory. With `systemd`
   * that makes the cgroup, which the runtime remembers for later commands.
   */
  run(
    id: string,
    bundle: string,
    directory: string,
    options: { terminal: boolean; systemd: boolean },
  ): string[] {
    return [
      ...this.#logged(directory),
      ...(options.systemd ? [SYSTEMD] : []),
      'run',
      '--detach',
      '--bundle',
      bundle,
      ...files(directory, options.terminal),
      id,
    ];
  }

  /** Like `run`, from what `checkpoint` wrote to `images`. CRIU keeps its log in `work`. */
  restore(
    id: string,
    bundle: string,
    directory: string,
    options: { terminal: boolean; systemd: boolean },
    checkpoint: { images: string; work: string },
  ): string[] {
    return [
      ...this.#logged(directory),
      ...(options.systemd ? [SYSTEMD] : []),
      'restore',
      '--detach',
      '--bundle',
      bundle,
      ...criu(checkpoint),
      ...files(directory, options.terminal),
      id,
    ];
  }

  checkpoint(id: string, checkpoint: { images: string; work: string; leaveRunning: boolean }): string[] {
    const stay = checkpoint.leaveRunning ? ['--leave-running'] : [];
    return [...this.#base, '--log-format', 'json', 'checkpoint', ...criu(checkpoint), ...stay, id];
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
  runForeground(id: string, bundle: string, systemd: boolean): string[] {
    return [...this.#base, ...(systemd ? [SYSTEMD] : []), 'run', '--bundle', bundle, id];
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

/** Without --file-locks CRIU refuses a process that holds one; the other end of a lock is in the checkpoint too. */
function criu({ images, work }: { images: string; work: string }): string[] {
  return ['--image-path', images, '--work-path', work, '--file-locks'];
}

function files(directory: string, terminal: boolean): string[] {
  const pid = ['--pid-file', path.join(directory, 'pid')];
  return terminal ? [...pid, '--console-socket', path.join(directory, 'tty')] : pid;
}
