import { CLIENT_VERSION } from '#/cli/client-version.ts';
import { runProgram } from '#/cli/program.ts';

/**
 * The `hull` command. The way to start a daemon is handed in from here, so that the CLI itself knows nothing but the API,
 * and its code is loaded only when no daemon answers.
 */
void runProgram(process.argv.slice(2), {
  version: CLIENT_VERSION,
  startDaemon: async (socketPath) => (await import('./start-daemon.ts')).startDaemon(socketPath),
}).then((code) => process.exit(code));
