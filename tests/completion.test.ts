import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { CHECKOUT } from './daemons.ts';

/** Real shells on a terminal of their own: keys go in, and what the line has become is read from the screen. */
interface Shell {
  argv: string[];
  /** Makes Ctrl-T show the line between brackets, so that nothing has to be run. */
  setUp: string;
}

const SHELLS: Record<string, Shell> = {
  bash: {
    argv: ['bash', '--norc', '--noprofile', '-i'],
    setUp: `PS1='ready> '; bind 'set bell-style none'; bind -x '"\\C-t": echo "[$READLINE_LINE]"'; source <(hull completion bash)`,
  },
  zsh: {
    argv: ['zsh', '-f', '-i'],
    setUp: `PS1='ready> '; unsetopt beep; unset zle_bracketed_paste; autoload -U compinit; compinit -u -D; show() { zle -I; print -r -- "[$BUFFER]" }; zle -N show; bindkey '^T' show; source <(hull completion zsh)`,
  },
};

/** What is typed before the Tab, and the line after it; what has several continuations grows as far as they agree. */
const LINES: readonly (readonly [typed: string, completed: string])[] = [
  ['hull chec', 'hull checkpoint '],
  ['hull container renam', 'hull container rename '],
  ['hull logs we', 'hull logs webby '],
  ['hull run --network-al', 'hull run --network-alias '],
  ['hull run --network my', 'hull run --network mynet '],
  ['hull run --pull=al', 'hull run --pull=always '],
  ['hull run --restart unl', 'hull run --restart unless-stopped '],
  ['hull rmi reg:5000/app:v', 'hull rmi reg:5000/app:v1 '],
  ['hull cp web', 'hull cp webby:'],
  ['hull ps --filter status=ru', 'hull ps --filter status=running '],
  ['hull volume rm da', 'hull volume rm data '],
  ['hull run --env-file onlyf', 'hull run --env-file onlyfile '],
];

describe('shell completion', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'completion-'));
  const socket = path.join(directory, 's');
  const answers: Record<string, unknown> = {
    '/containers/json': [{ Names: ['/webby'], Image: 'busybox', State: 'running', Status: 'Up' }],
    '/images/json': [{ Id: `sha256:${'a'.repeat(64)}`, RepoTags: ['reg:5000/app:v1'] }],
    '/networks': [{ Name: 'mynet', Driver: 'bridge' }],
    '/volumes': { Volumes: [{ Name: 'data', Driver: 'local' }] },
  };
  const server = createServer((request, response) => {
    const route = (request.url ?? '').replace(/^\/v[\d.]+/, '').replace(/\?.*/, '');
    response.end(JSON.stringify(answers[route] ?? null));
  });

  before(async () => {
    mkdirSync(path.join(directory, 'work'));
    writeFileSync(path.join(directory, 'work/onlyfile'), '');
    await new Promise<void>((resolve) => {
      server.listen(socket, resolve);
    });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  });

  for (const [name, shell] of Object.entries(SHELLS)) {
    test(`${name} completes verbs, flags, names and files`, async () => {
      await using terminal = new ShellTerminal(shell, path.join(directory, 'work'), socket);
      await terminal.send(`${shell.setUp}\r`, /ready> $/);
      for (const [typed, completed] of LINES) {
        // Ctrl-U empties the line; a shell that shows its prompt again has its terminal raw again.
        const screen = await terminal.send(`\u0015${typed}\t\u0014`, /\[hull [^\]]*\][^]*ready> hull/);
        assert.equal(/\[(hull [^\]]*)\]/.exec(screen)?.[1], completed);
      }
    });
  }
});

class ShellTerminal implements AsyncDisposable {
  readonly #child;
  #screen = '';
  #wake: (() => void) | undefined;

  constructor(shell: Shell, cwd: string, socket: string) {
    this.#child = spawn('script', ['-qec', shell.argv.join(' '), '/dev/null'], {
      cwd,
      env: {
        HOME: cwd,
        TERM: 'dumb',
        LC_ALL: 'C.UTF-8',
        COLUMNS: '200',
        PATH: `${path.join(CHECKOUT, 'bin')}:${process.env.PATH}`,
        HULL_HOST: `unix://${socket}`,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#screen += chunk.toString();
      this.#wake?.();
    });
    this.#child.once('close', () => this.#wake?.());
  }

  /** Types, and resolves with what the screen got once it shows `until`. */
  async send(keys: string, until: RegExp): Promise<string> {
    this.#screen = '';
    this.#child.stdin.write(keys);
    const deadline = setTimeout(() => this.#child.kill(), 20_000);
    while (!until.test(this.#screen)) {
      if (this.#child.exitCode !== null || this.#child.killed) {
        throw new Error(`the shell does not show ${until}: ${JSON.stringify(this.#screen)}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(deadline);
    return this.#screen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.write('\u0015exit\r');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    if (this.#child.exitCode === null) {
      await new Promise((resolve) => {
        this.#child.once('close', resolve);
      });
    }
    clearTimeout(timer);
  }
}
