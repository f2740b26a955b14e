import { setMaxListeners } from 'node:events';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Io, processIo } from '../ui/io.ts';

/** What the process is doing; the edge asks it when something was thrown, and for the exit code. */
export interface Invocation {
  command: string;
  isJson: boolean;
  /** `-o`, where it was given. */
  output: string | undefined;
  exitCode: number;
  /** Whether the command may listen for signals itself, as one does that gives the terminal to another program; then it decides alone. */
  listensItself: boolean;
  /** Aborted by the first Ctrl-C. */
  readonly interrupt: AbortController;
}

export const invocation: Invocation = {
  command: 'mcastctl',
  isJson: false,
  output: undefined,
  exitCode: 0,
  listensItself: false,
  interrupt: new AbortController(),
};

// Every host listens for the interrupt: ten are no leak.
setMaxListeners(0, invocation.interrupt.signal);

/** The process's streams, as `--no-color` and the environment want them. */
export function io(): Io {
  return processIo(!process.argv.includes('--no-color'));
}

/** Wraps a command's work: remembers its name and format for errors, and its exit code. */
export function action<Args extends unknown[]>(work: (...args: Args) => Promise<number> | number) {
  return async function run(this: Command, ...args: Args): Promise<void> {
    invocation.command = this.name();
    invocation.isJson = this.opts().format === 'json';
    invocation.output = this.opts().output;
    invocation.exitCode = await work(...args);
  };
}

/** Parser of an option that takes a number above 0. */
export function positive(text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number <= 0) throw new InvalidArgumentError('It must be a number above 0.');
  return number;
}

/** Parser of an option that takes a number from 0. */
function notNegative(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number) || number < 0)
    throw new InvalidArgumentError('It must be a number of at least 0.');
  return number;
}

/** Parser of the time of the dead-man's switch: below 5 s a busy node would undo what is only slow. */
function confirmTime(text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number < 5 || number > 3600)
    throw new InvalidArgumentError('It must be seconds, from 5 to 3600.');
  return number;
}

/** Parser of an option that takes a whole number from 1. */
export function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return number;
}

/** Parser of an option that takes a comma-separated list and may be repeated. */
export function listed(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').flatMap((word) => word.trim() || [])];
}

/** Parser of an option that may be repeated. */
export function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** The examples at the end of a help page. */
export function examples(...lines: string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}

type InventoryArgument = '<inventory>' | '[inventory]' | '<inventory|plan>';

/** The argument and options of every command that reads an inventory. */
export function withInventory(command: Command, argument: InventoryArgument = '<inventory>'): Command {
  const isPlanToo = argument === '<inventory|plan>';
  return command
    .argument(argument, `Ansible YAML inventory: a file${isPlanToo ? '; or a plan that "plan --out" has saved' : ''}`)
    .option('-l, --limit <pattern>', 'only these hosts: names, groups, globs, "a:!b", "~regex", "@file"')
    .option('-e, --extra-vars <vars>', 'variables: key=value, YAML or JSON, or @file; outrank all others', repeated)
    .option('--vault-id <source>', 'vault password: LABEL@FILE or LABEL@prompt; may be repeated', repeated)
    .option('--vault-password-file <file>', 'file with the vault password, or a program that prints it', repeated)
    .option('-J, --ask-vault-pass', 'ask for the vault password');
}

/** The options of every command that logs in to hosts. */
export function withHosts(command: Command, argument: InventoryArgument = '<inventory>'): Command {
  return withInventory(command, argument)
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
    .option('--accept-new', 'accept and remember keys of hosts unknown to known_hosts; a changed key is always refused')
    .option('-T, --timeout <seconds>', 'time for a login', positive, 10)
    .option('--command-timeout <seconds>', 'time for one step on a node', positive, 60);
}

/** The options that choose tasks. */
export function withPlaybook(command: Command): Command {
  return command
    .optionsGroup('Playbook:')
    .option(
      '-p, --playbook <file>',
      'default: playbooks/site.yml or site.yml beside the inventory, else the shipped one',
    )
    .option('-t, --tags <tags>', 'only tasks with one of these tags', listed)
    .option('--skip-tags <tags>', 'no tasks with one of these tags', listed);
}

/** The options of every command that changes hosts. */
export function withChange(command: Command): Command {
  return command
    .option(
      '--confirm-timeout <seconds>',
      'time after which a node that hears nothing takes the task in hand back by itself',
      confirmTime,
      60,
    )
    .option('--lock-timeout <seconds>', 'time to wait for another run that changes a node', notNegative, 0);
}
