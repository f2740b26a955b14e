import { type Command, CommanderError } from 'commander';
import { checkOutput, writeOutput } from '../commands/output.ts';
import { EXIT, type Fault, formatFault, HostError, InputError } from '../core/errors.ts';
import { invocation, io } from './shared.ts';

/** Faults of the input as JSON, so that a script that asked for JSON gets JSON. */
function inputErrorReport(faults: readonly Fault[]): string {
  const errors = faults.map(({ message, source, hint }) => ({
    message,
    ...source,
    ...(hint === undefined ? {} : { hint }),
  }));
  const startedAt = new Date(performance.timeOrigin).toISOString();
  const durationMs = Math.round(performance.now());
  const { command } = invocation;
  const head = { version: 1, command, status: 'failed', exitCode: EXIT.input, startedAt, durationMs };
  return `${JSON.stringify({ ...head, hosts: {}, probe: null, errors }, null, 2)}\n`;
}

/** Commander has printed the message, but does not know of the JSON that a script asked for. */
function usageError(error: CommanderError, program: Command): number {
  const args = process.argv.slice(2);
  const format = args.findLast((_, index) => args[index - 1] === '--format') ?? '';
  invocation.command = program.commands.find((command) => command.name() === args[0])?.name() ?? program.name();
  if (format === 'json' || args.includes('--format=json')) {
    io().out(inputErrorReport([{ message: error.message.replace(/^error: /, '') }]));
  }
  return EXIT.input;
}

/** The JSON of an input error goes where the report would: a stale file must not pass for today's. */
function writeInputError(text: string): void {
  try {
    checkOutput(invocation.output);
    writeOutput(text, invocation.output, io());
  } catch (error) {
    if (error instanceof InputError) io().out(text);
    else if (!(error instanceof HostError)) throw error;
  }
}

/** Prints what was thrown, as JSON too where that was asked for, and gives the exit code for it. */
export function reportFailure(error: unknown, program: Command): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : usageError(error, program);
  const { err, paint } = io();
  if (error instanceof InputError) {
    if (invocation.isJson) writeInputError(inputErrorReport(error.faults));
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
