#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { CommonOptions } from './commands/options.ts';
import type { PlanOptions } from './commands/run.ts';
import { EXIT, type ExitCode, type Fault, formatFault, InputError } from './core/errors.ts';
import { type Io, processIo } from './ui/io.ts';
import { VERSION } from './version.ts';

const interrupt = new AbortController();
let exitCode: ExitCode = EXIT.ok;
let commandName = 'mcastctl';
let isJson = false;

function io(): Io {
  return processIo(!process.argv.includes('--no-color'));
}

/** Wraps a command's work: remembers its name for errors, and its exit code. */
function action<Args extends unknown[]>(work: (...args: Args) => Promise<ExitCode> | ExitCode) {
  return async function run(this: Command, ...args: Args): Promise<void> {
    commandName = this.name();
    isJson = this.opts().format === 'json';
    exitCode = await work(...args);
  };
}

function positive(text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number <= 0) throw new InvalidArgumentError('It must be a number above 0.');
  return number;
}

function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return number;
}

function listed(text: string, before: readonly string[] = []): string[] {
  return [
    ...before,
    ...text
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean),
  ];
}

function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

function examples(...lines: string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}

const program = new Command('mcastctl')
  .description('Multicast that works and keeps working on Proxmox VE, Pacemaker and corosync clusters.')
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print help; after a command: the help of the command')
  .helpCommand(false)
  .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 100) })
  .configureOutput({ writeErr: (text) => io().err(text) })
  .showSuggestionAfterError()
  .exitOverride()
  .addHelpText(
    'after',
    `${examples('mcastctl lab up', 'mcastctl apply "$(mcastctl lab inventory)"', 'mcastctl check inventory.yml')}
Exit codes: 0 as desired, 1 failed, 2 a difference was found, 3 invalid input, 4 host unreachable, 130 interrupted.
`,
  );

/** The options that every command with hosts has. */
function withHosts(command: Command): Command {
  return command
    .argument('<inventory>', 'Ansible YAML inventory: a file')
    .option('-l, --limit <pattern>', 'only these hosts: names, groups, globs, "a:!b", "~regex", "@file"')
    .option('-e, --extra-vars <vars>', 'variables: key=value, YAML or JSON, or @file; outrank all others', repeated)
    .option('-f, --forks <number>', 'hosts to log in to at once', count, 50)
    .addOption(new Option('--format <format>', 'how to print the result').choices(['text', 'json']).default('text'))
    .option('-o, --output <file>', 'write the result to a file instead of standard output')
    .option('-v, --verbose', 'also what is as desired', false)
    .option('--no-color', 'no colours (also: NO_COLOR in the environment)')
    .optionsGroup('SSH:')
    .option('-u, --user <name>', 'login name, where the inventory has none')
    .option('--private-key <file>', 'private key, where the inventory has none')
    .option('-k, --ask-pass', 'ask for the SSH password')
    .option('-b, --become', 'work as another user by sudo')
    .option('--become-user <name>', 'that user (default: root)')
    .option('-K, --ask-become-pass', 'ask for the sudo password')
    .option(
      '--accept-new',
      'accept and remember the keys of hosts that known_hosts does not have; a changed key is always refused',
    )
    .option('-T, --timeout <seconds>', 'time for a login', positive, 10)
    .option('--command-timeout <seconds>', 'time for one step on a node', positive, 60);
}

function withPlaybook(command: Command): Command {
  return withHosts(command)
    .optionsGroup('Playbook:')
    .option(
      '-p, --playbook <file>',
      'default: playbooks/site.yml or site.yml beside the inventory, else the one that ships',
    )
    .option('-t, --tags <tags>', 'only tasks with one of these tags', listed)
    .option('--skip-tags <tags>', 'no tasks with one of these tags', listed);
}

withPlaybook(program.command('apply'))
  .summary('bring hosts to the desired state: try, prove, keep')
  .description(
    'Brings hosts to the desired state. Each change is tried in the running system, proved by reading it back and by real packets between the nodes, and only then written to where the next boot finds it. What fails is taken back.',
  )
  .addHelpText('after', examples('mcastctl apply inventory.yml', 'mcastctl apply inventory.yml -p site.yml -l pve2'))
  .action(
    action(async (file: string, options: CommonOptions) => {
      const { applyCommand } = await import('./commands/run.ts');
      return applyCommand(file, options, io(), interrupt.signal);
    }),
  );

withPlaybook(program.command('plan'))
  .summary('show what apply would change')
  .description('Shows what apply would change, and changes nothing. Exits with 2 where there is something to change.')
  .option('--diff', 'show how files would change')
  .option('--commands', 'show the exact commands')
  .addHelpText('after', examples('mcastctl plan inventory.yml --diff --commands'))
  .action(
    action(async (file: string, options: PlanOptions) => {
      const { planCommand } = await import('./commands/run.ts');
      return planCommand(file, options, io(), interrupt.signal);
    }),
  );

withPlaybook(program.command('check'))
  .summary('find drift; silent when there is none')
  .description(
    'Compares hosts with the desired state, both the running values and what the next boot will give. Prints nothing and exits with 0 where all is as desired; exits with 2 where something drifted.',
  )
  .addHelpText(
    'after',
    examples('mcastctl check inventory.yml', 'mcastctl check inventory.yml --format json -o report.json'),
  )
  .action(
    action(async (file: string, options: CommonOptions) => {
      const { checkCommand } = await import('./commands/run.ts');
      return checkCommand(file, options, io(), interrupt.signal);
    }),
  );

process.on('SIGINT', () => {
  if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
  io().err('interrupted: the task in hand is finished or undone first; press Ctrl-C again to stop at once\n');
  interrupt.abort();
});

/** Faults of the input as JSON, so that a script that asked for JSON gets JSON. */
function inputErrorReport(faults: readonly Fault[]): string {
  const errors = faults.map(({ message, source, hint }) => ({
    message,
    ...source,
    ...(hint === undefined ? {} : { hint }),
  }));
  const report = {
    version: 1,
    command: commandName,
    status: 'failed',
    exitCode: EXIT.input,
    hosts: {},
    probe: null,
    errors,
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function failed(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.input;
  const { err, out, paint } = io();
  if (error instanceof InputError) {
    if (isJson) out(inputErrorReport(error.faults));
    err(`${error.faults.map((fault) => `${paint.bad('error:')} ${formatFault(fault)}`).join('\n\n')}\n`);
    return EXIT.input;
  }
  if (interrupt.signal.aborted) return EXIT.interrupted;
  err(
    `internal error: ${error instanceof Error ? error.stack : String(error)}\nThis is a bug in mcastctl; please report it with the command and this text.\n`,
  );
  return EXIT.failed;
}

try {
  await program.parseAsync();
} catch (error) {
  exitCode = failed(error);
}
process.exitCode = exitCode;
