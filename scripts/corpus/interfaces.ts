import {
  type Dialect,
  type InterfacesFile,
  lineAt,
  parseInterfaces,
  printInterfaces,
  type Stanza,
  withOption,
  withOptionValue,
  withoutLine,
} from '../../src/formats/interfaces.ts';
import { format, type Opened, type Trial } from './format.ts';

type Meaning = readonly { readonly stanza: string; readonly options: readonly string[] }[];

const KEY = 'bridge-mcquerier';

export function interfaces(dialect: Dialect): Opened {
  return format<InterfacesFile>({
    name: `interfaces, ${dialect}`,
    folder: 'interfaces',
    parse: (text) => parseInterfaces(text, dialect),
    print: printInterfaces,
    edits: [
      {
        kind: 'change an option',
        trials: (file) =>
          plainOptionsOf(file).map((index) =>
            trial(file, index, lineAt(file, index), 1, () => withOptionValue(file, index, '7'), ['7']),
          ),
      },
      {
        kind: 'remove an option',
        trials: (file) =>
          plainOptionsOf(file).map((index) =>
            trial(file, index, lineAt(file, index), 0, () => withoutLine(file, index), []),
          ),
      },
      {
        kind: 'add an option',
        trials: (file) => file.stanzas.map((stanza) => addition(file, stanza)),
      },
    ],
  });
}

/** Without lines of backslashes alone, which nobody takes for options. */
function plainOptionsOf(file: InterfacesFile): readonly number[] {
  return optionsOf(file).filter((index) => !lineAt(file, index).key.includes('\\'));
}

function optionsOf(file: InterfacesFile): readonly number[] {
  return file.stanzas.flatMap((stanza) => stanza.options);
}

/** An option line replaced by nothing or by one with another value. */
function trial(
  file: InterfacesFile,
  index: number,
  { key, value, number, raw }: InterfacesFile['lines'][number],
  adds: number,
  edit: () => InterfacesFile,
  values: readonly string[],
): Trial {
  const old = meaning(file);
  const at = optionsOf(file).indexOf(index);
  const flat = old.flatMap((stanza, number) => stanza.options.map((option) => ({ number, option })));
  const wanted = old.map((stanza, number) => ({
    ...stanza,
    options: flat.flatMap(({ number: owner, option }, position) => {
      if (owner !== number) return [];
      return position === at ? values.map((fresh) => `${key} ${fresh}`) : [option];
    }),
  }));
  return {
    what: `"${key} ${value}" of line ${number}`,
    edited: () => printInterfaces(edit()),
    touches: physical(number, raw),
    adds,
    objection: (text) => differs(meaning(parseInterfaces(text, file.dialect)), wanted),
  };
}

function addition(file: InterfacesFile, stanza: Stanza): Trial {
  const { number, raw } = lineAt(file, stanza.options.at(-1) ?? stanza.header);
  const wanted = meaning(file).map((other, index) =>
    file.stanzas[index] === stanza ? { ...other, options: [...other.options, `${KEY} 1`] } : other,
  );
  return {
    what: `"${stanza.name}" of line ${lineAt(file, stanza.header).number}`,
    edited: () => printInterfaces(withOption(file, stanza, KEY, '1', () => false)),
    // It may lose a backslash that would take the new line with it.
    touches: physical(number, raw),
    adds: physical(number, raw).length + 1,
    objection: (text) => differs(meaning(parseInterfaces(text, file.dialect)), wanted),
  };
}

/** Indices of the lines of the file that a joined line takes. */
function physical(number: number, raw: string): readonly number[] {
  return raw
    .replace(/\n$/, '')
    .split('\n')
    .map((_, index) => number - 1 + index);
}

/** What a file says, but for backslashes at its very end: they go where a line follows. */
function meaning(file: InterfacesFile): Meaning {
  return file.stanzas.map((stanza) => ({
    stanza: lineAt(file, stanza.header).value,
    options: stanza.options.map((index) =>
      `${lineAt(file, index).key} ${lineAt(file, index).value}`.replace(/[ \t\\]+$/, ''),
    ),
  }));
}

function differs(is: Meaning, wanted: Meaning): string | undefined {
  const plain = (meaning: Meaning) =>
    JSON.stringify(meaning.map((stanza) => ({ ...stanza, options: stanza.options.filter((option) => option !== '') })));
  return plain(is) === plain(wanted) ? undefined : 'the stanzas are not what was asked for';
}
