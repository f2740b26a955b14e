import { Command, type Option } from 'commander';
import { addRunCommands } from '../../src/cli/hosts.ts';
import { addLabCommands } from '../../src/cli/lab.ts';
import { addLookCommands } from '../../src/cli/look.ts';
import type { ResourceType } from '../../src/core/resource.ts';
import { PROPERTIES } from '../../src/resources/bridge/properties.ts';
import { parametersOf, readTextsOf } from '../../src/resources/describe.ts';
import { resourceTypes } from '../../src/resources/index.ts';

/** The generated parts of a page, by the name in its marker. */
type Parts = Readonly<Record<string, string>>;

/**
 * Makes the pages of the reference: docs/commands.md from the command line itself, docs/resources/*.md from the resource types.
 * What stands outside the markers of a resource's page is written by hand and kept; a page that is missing begins with all its parts.
 * @param read gives the text of a page as it is, by its path from the root; null where there is none
 * @returns the text of every page as it should be, by path
 */
export function referencePages(read: (path: string) => string | null): Map<string, string> {
  const pages = new Map([['docs/commands.md', commandsPage()]]);
  for (const type of resourceTypes.values()) {
    const path = `docs/resources/${type.type}.md`;
    pages.set(path, withParts(read(path) ?? `# ${type.type}\n`, resourceParts(type)));
  }
  return pages;
}

/** Replaces each part between its markers; a part without markers is added at the end. */
function withParts(page: string, parts: Parts): string {
  let text = page;
  for (const [name, body] of Object.entries(parts)) {
    const block = `<!-- generated: ${name} -->\n${body.trimEnd()}\n<!-- /generated -->`;
    const found = new RegExp(`<!-- generated: ${name} -->[\\s\\S]*?<!-- /generated -->`);
    text = found.test(text) ? text.replace(found, () => block) : `${text.trimEnd()}\n\n${block}\n`;
  }
  return text;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

function resourceParts(type: ResourceType): Parts {
  const parts: Record<string, string> = {
    summary: `${type.summary}.`,
    example: `\`\`\`yaml tasks\n${type.example.trimEnd()}\n\`\`\``,
    parameters: parameterTable(type),
    reads: readTextsOf(type)
      .map((text) => `- ${text}`)
      .join('\n'),
  };
  if (type.type === 'bridge') parts['names'] = bridgeNames();
  return parts;
}

function parameterTable(type: ResourceType): string {
  const rows = parametersOf(type).map(({ name, description, isNeeded }) => [
    `\`${name}\``,
    `${description}${isNeeded ? '. Needed' : ''}`,
  ]);
  return table(['parameter', 'meaning'], rows);
}

function bridgeNames(): string {
  const code = (text: string | undefined) => (text === undefined ? 'none' : `\`${text}\``);
  return table(
    ['parameter', 'ip link … type bridge', 'sysfs', 'ifupdown2', 'systemd-networkd'],
    PROPERTIES.map(({ name, ip, sysfs, ifupdown2, networkd }) => [
      code(name),
      code(ip),
      code(sysfs),
      code(ifupdown2),
      code(networkd),
    ]),
  );
}

/** A command with its full name, such as `lab up`. */
interface NamedCommand {
  readonly name: string;
  readonly command: Command;
}

function commandsPage(): string {
  const program = new Command('mcastctl');
  addRunCommands(program);
  addLookCommands(program);
  addLabCommands(program);
  const commands = program.commands.flatMap((command) => leaves(command, ''));
  const owners = new Map<string, string[]>();
  for (const { name, command } of commands) {
    for (const option of command.options) owners.set(keyOf(option), [...(owners.get(keyOf(option)) ?? []), name]);
  }
  const isShared = (option: Option) => (owners.get(keyOf(option))?.length ?? 0) > 1;
  const shared = new Map(commands.flatMap(({ command }) => command.options).map((option) => [keyOf(option), option]));
  const common = [...shared.values()].filter(isShared);
  return [
    '<!-- Made by "npm run docs" from the program itself: change src/cli instead. -->',
    '# Commands',
    '',
    '`mcastctl COMMAND INVENTORY [options]`. `mcastctl COMMAND --help` prints the same. See also [exit codes](safety.md#exit-codes)',
    'and [the JSON report](json.md).',
    '',
    ...commands.flatMap((each) => commandSection(each, isShared)),
    '## Options of several commands',
    '',
    table(
      ['option', 'meaning', 'default', 'commands'],
      common.map((option) => [...optionCells(option), (owners.get(keyOf(option)) ?? []).join(', ')]),
    ),
    '',
  ].join('\n');
}

function leaves(command: Command, prefix: string): NamedCommand[] {
  const name = `${prefix}${command.name()}`;
  return command.commands.length === 0
    ? [{ name, command }]
    : command.commands.flatMap((child) => leaves(child, `${name} `));
}

function keyOf(option: Option): string {
  return `${option.flags} ${option.description}`;
}

function commandSection({ name, command }: NamedCommand, isShared: (option: Option) => boolean): string[] {
  const argumentsText = command.registeredArguments.map((each) => {
    const word = each.variadic ? `${each.name()}...` : each.name();
    return each.required ? `<${word}>` : `[${word}]`;
  });
  const own = command.options.filter((option) => !isShared(option));
  const rows = own.map(optionCells);
  const shared =
    command.options.length > own.length
      ? ['Besides: [options of several commands](#options-of-several-commands).', '']
      : [];
  return [
    `## ${name}`,
    '',
    `\`mcastctl ${[name, ...argumentsText, '[options]'].join(' ')}\``,
    '',
    command.description(),
    '',
    ...(rows.length > 0 ? [table(['option', 'meaning', 'default'], rows), ''] : []),
    ...shared,
    '<!-- not run: the examples of the help text; other pages run the like -->',
    '```console',
    ...examplesOf(command),
    '```',
    '',
  ];
}

function optionCells(option: Option): [string, string, string] {
  const choices = option.argChoices ? ` (${option.argChoices.map((choice) => `\`${choice}\``).join(', ')})` : '';
  const value = option.negate || option.defaultValue === false ? undefined : option.defaultValue;
  return [`\`${option.flags}\``, `${option.description}${choices}`, value === undefined ? '' : `\`${String(value)}\``];
}

/** The examples that end the help of a command. */
function examplesOf(command: Command): string[] {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return [...text.matchAll(/^ {2}(\$ .*)$/gm)].map((match) => match[1] ?? '');
}
