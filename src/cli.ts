#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { addRunCommands } from './cli/hosts.ts';
import { addLabCommands } from './cli/lab.ts';
import { addLookCommands } from './cli/look.ts';
import { examples, invocation, io } from './cli/shared.ts';
import { EXIT, type Fault, formatFault, HostError, InputError } from './core/errors.ts';
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

process.on('SIGINT', () => {
  const { interrupt } = invocation;
  if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
  io().err('interrupted: the task in hand is finished or undone first; press Ctrl-C again to stop at once\n');
  interrupt.abort();
});
// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

/** Faults of the input as JSON, so that a script that asked for JSON gets JSON. */
function inputErrorReport(faults: readonly Fault[]): string {
  const errors = faults.map(({ message, source, hint }) => ({
    message,
    ...source,
    ...(hint === undefined ? {} : { hint }),
  }));
  const { command } = invocation;
  const report = { version: 1, command, status: 'failed', exitCode: EXIT.input, hosts: {}, probe: null, errors };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** Prints what was thrown and gives the exit code for it. */
function failed(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.input;
  const { err, out, paint } = io();
  if (error instanceof InputError) {
    if (invocation.isJson) out(inputErrorReport(error.faults));
    err(`${error.faults.map((fault) => `${paint.bad('error:')} ${formatFault(fault)}`).join('\n\n')}\n`);
    return EXIT.input;
  }
  if (invocation.interrupt.signal.aborted) return EXIT.interrupted;
  if (error instanceof HostError) {
    err(`${paint.bad('error:')} ${formatFault({ message: error.message, hint: error.hint })}\n`);
    return EXIT.failed;
  }
  const stack = error instanceof Error ? error.stack : String(error);
  err(`internal error: ${stack}\nThis is a bug in mcastctl; please report it with the command and this text.\n`);
  return EXIT.failed;
}

try {
  await program.parseAsync();
} catch (error) {
  invocation.exitCode = failed(error);
}
process.exitCode = invocation.exitCode;
