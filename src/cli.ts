import { Command } from 'commander';
import { reportFailure } from './cli/failure.ts';
import { addRunCommands } from './cli/hosts.ts';
import { addLabCommands } from './cli/lab.ts';
import { addLookCommands } from './cli/look.ts';
import { examples, invocation, io } from './cli/shared.ts';
import { EXIT } from './core/errors.ts';
import { VERSION } from './version.ts';

const program = new Command('mcastctl')
  .description('Multicast that works and keeps working on Proxmox VE, Pacemaker and corosync clusters.')
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print help; after a command: the help of the command')
  .helpCommand(false)
  .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 100) })
  .showSuggestionAfterError()
  .exitOverride()
  .addHelpText(
    'after',
    `${examples('mcastctl lab up', 'mcastctl apply "$(mcastctl lab inventory)"', 'mcastctl check inventory.yml')}
Exit codes: 0 as desired, 1 failed, 2 a difference was found, 3 invalid input, 4 host unreachable, 130 interrupted.
`,
  );
addRunCommands(program);
addLookCommands(program);
addLabCommands(program);

/** Ctrl-C, `kill`, and a terminal that was closed. */
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    const { interrupt, listensItself } = invocation;
    if (listensItself && process.listenerCount(name) > 1) return;
    if (interrupt.signal.aborted) {
      io().err('stopped at once: the nodes take the task in hand back by themselves\n');
      process.exit(EXIT.interrupted);
    }
    io().err('interrupted: the task in hand is finished or undone first; press Ctrl-C again to stop at once\n');
    interrupt.abort();
  });
}
// A reader that has seen enough (`| head`) is no error, and no reason to leave a node half-changed.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// What goes wrong outside of everything that is waited for is told like all else: with no secret in it.
process.on('uncaughtException', (error) => process.exit(reportFailure(error, program)));

async function main(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    invocation.exitCode = reportFailure(error, program);
  }
  process.exitCode = invocation.exitCode;
  // After an interrupt a login that nobody waits for any more may still be under way.
  if (invocation.interrupt.signal.aborted) process.stdout.write('', () => process.exit());
}

void main();
