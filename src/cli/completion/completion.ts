import type { Command } from '../command.ts';
import { BASH_SCRIPT } from './bash-script.ts';
import { ZSH_SCRIPT } from './zsh-script.ts';

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH_SCRIPT, zsh: ZSH_SCRIPT };

export const command: Command = {
  usage: 'bash|zsh',
  long: `Print the script that lets a shell complete hull's commands, flags and names

bash, for this shell and for all to come:
  source <(hull completion bash)
  hull completion bash > /etc/bash_completion.d/hull

zsh, likewise (the directory being one of $fpath, and compinit run):
  source <(hull completion zsh)
  hull completion zsh > /usr/local/share/zsh/site-functions/_hull`,
  arguments: { min: 1, max: 1 },
  offline: true,
  async run({ args: [shell = ''], terminal }) {
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined)
      throw new Error(`no completion for ${JSON.stringify(shell)}: bash and zsh have one`);
    terminal.out(script);
  },
};
