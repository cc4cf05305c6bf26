import { CLIENT_VERSION } from '#/cli/client-version.ts';
import { runProgram } from '#/cli/program.ts';
import { ProcessTerminal } from '#/cli/terminal.ts';

/**
 * The `hull` command. The ways to start a daemon and to make a terminal raw are handed in from here, so that the CLI itself knows nothing but the API,
 * and their code is loaded only when it is needed.
 */
void runProgram(process.argv.slice(2), {
  version: CLIENT_VERSION,
  terminal: new ProcessTerminal(async (fd) => (await import('#/host/terminal.ts')).makeTerminalRaw(fd)),
  startDaemon: async (socketPath) => (await import('./start-daemon.ts')).startDaemon(socketPath),
}).then((code) => process.exit(code));
