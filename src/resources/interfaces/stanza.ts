import type { Change, Observations, Step } from '../../core/resource.ts';
import {
  type Dialect,
  type InterfacesFile,
  lineAt,
  parseInterfaces,
  printInterfaces,
  stanzaMatches,
  withOption,
  withOptionValue,
} from '../../formats/interfaces.ts';
import {
  applyAll,
  generatedBy,
  type InterfacesTree,
  type PersistentPlan,
  type PlacedStanza,
  parentsOf,
  phaseOf,
  rangeReason,
  refusePending,
  stanzasOf,
  type TextEdit,
} from './files.ts';
import { isPlainName, joinCommands, splitCommand } from './hook-command.ts';

/** A line of a stanza. */
export interface OptionLine {
  readonly key: string;
  readonly value: string;
  readonly dialect: Dialect;
  /** When it has its effect: 0 for what is no command, 1 pre-up, 2 up, 3 post-up. */
  readonly phase: number;
}

/** What a line gives, as a person writes it, and when. Attributes have phases of their own, between those of commands. */
export interface Given {
  readonly value: string | number | boolean;
  readonly phase: number;
}

/** One property that lines of a stanza can give, and what it is to be. */
export interface StanzaSetting {
  /** The property's name in reports. */
  readonly name: string;
  /** In reports. */
  readonly to: unknown;
  /** What a line gives; undefined: not this property. */
  read(line: OptionLine): Given | undefined;
  isRight(value: string | number | boolean): boolean;
  /** The value of such a line once it gives what is wanted; undefined: it is for others too, a line after it has to say so. */
  rewrite(line: OptionLine): string | undefined;
  /** The value of a line that gives a sister of the property, with this one put in; undefined: it can't take it. */
  extend(line: OptionLine): string | undefined;
  /** The line that gives it where none does. */
  readonly added: { readonly key: string; readonly value: string };
  /** What to know of a line that does not give it although it looks so. */
  remark(line: OptionLine): string | undefined;
}

/** A line that gives a property. */
export interface Hit {
  readonly place: PlacedStanza;
  readonly number: number;
  readonly given: Given;
}

/** The lines that give a property to a device, in the order in which they have their effect: the last one counts. */
export function hitsOf(device: string, tree: InterfacesTree, setting: StanzaSetting): Hit[] {
  return linesOf(device, tree)
    .flatMap(({ place, number, line }) => {
      const given = setting.read(line);
      return given === undefined ? [] : [{ place, number, given }];
    })
    .toSorted((a, b) => a.given.phase - b.given.phase);
}

/**
 * Compares the stanzas of a device with what is wanted: for each property the line that counts is rewritten, or one is added.
 * @returns undefined where no stanza names the device
 * @throws HostError where the Proxmox GUI holds changes that nobody applied yet
 */
export function planStanza(
  device: string,
  settings: readonly StanzaSetting[],
  tree: InterfacesTree,
  seen: Observations,
): PersistentPlan | undefined {
  refusePending(seen);
  const places = stanzasOf(tree, device);
  const [home] = places;
  const [range] = stanzasOf(tree, device, 'range');
  if (home === undefined && range === undefined) return undefined;
  const changes: Change[] = [];
  const reasons = new Set<string>();
  const edits = new Map<string, TextEdit[]>();
  for (const setting of settings) {
    const last = hitsOf(device, tree, setting).at(-1);
    if (last !== undefined && setting.isRight(last.given.value)) continue;
    const isOwn =
      last !== undefined && places.some(({ path, stanza }) => path === last.place.path && stanza === last.place.stanza);
    const path = isOwn ? last.place.path : ((home ?? range ?? last?.place)?.path ?? '');
    const notes = linesOf(device, tree).flatMap(({ line }) => setting.remark(line) ?? []);
    changes.push({
      layer: 'persistent',
      property: setting.name,
      from: last?.given.value ?? null,
      to: setting.to,
      file: last?.place.path ?? path,
      ...(last !== undefined && { line: last.number }),
      ...(notes.length > 0 && { note: notes.join('; ') }),
    });
    const reason = home === undefined && range !== undefined ? rangeReason(range, device) : generatedBy([path]);
    if (reason !== undefined) reasons.add(reason);
    if (!isPlainName(device) && /^(?:pre-|post-)?up$/.test(setting.added.key))
      reasons.add(
        `"${device}" has characters that a shell interprets: no "${setting.added.key}" line is written for it`,
      );
    const edit: TextEdit = (text) => printInterfaces(withSetting(parseInterfaces(text, tree.dialect), device, setting));
    edits.set(path, [...(edits.get(path) ?? []), edit]);
  }
  const blocked = reasons.size > 0 ? [...reasons].join('; ') : undefined;
  const keep = [...edits].map(([path, all]): Step => ({ do: 'edit', path, edit: applyAll(all) }));
  return { changes, keep: blocked === undefined ? keep : [], blocked };
}

/** What the simple commands of a line give; the last one counts. */
export function commandValue(
  line: OptionLine,
  device: string,
  read: (words: readonly string[]) => string | number | undefined,
): string | number | undefined {
  if (line.phase === 0) return undefined;
  return splitCommand(line.value, device)
    ?.map(({ words }) => (isPlain(words) ? read(words) : undefined))
    .findLast((value) => value !== undefined);
}

/** The line with some of its simple commands made anew. @param edit undefined: the command stays as it is */
export function withCommand(
  line: OptionLine,
  device: string,
  edit: (words: readonly string[]) => readonly string[] | undefined,
): string {
  const parts = splitCommand(line.value, device) ?? [];
  return joinCommands(
    parts.map((part) => {
      const words = isPlain(part.words) ? edit(part.words) : undefined;
      return words === undefined ? part : { ...part, text: words.join(' ') };
    }),
  );
}

/** Words that can be written without quotes. */
function isPlain(words: readonly string[]): boolean {
  return words.every((word) => /^[\w./:=,+>-]+$/.test(word));
}

function linesOf(device: string, tree: InterfacesTree): { place: PlacedStanza; number: number; line: OptionLine }[] {
  const own = stanzasOf(tree, device);
  const places = own.length > 0 ? own : stanzasOf(tree, device, 'range');
  const chain = [...new Set(places.flatMap((place) => [...parentsOf(place, tree), place]))];
  return chain.flatMap((place) =>
    place.stanza.options.map((index) => {
      const { number } = lineAt(place.file, index);
      return { place, number, line: optionLine(place.file, index) };
    }),
  );
}

function optionLine(file: InterfacesFile, index: number): OptionLine {
  const { key, value } = lineAt(file, index);
  return { key, value, dialect: file.dialect, phase: phaseOf(key, file) };
}

function withSetting(file: InterfacesFile, device: string, setting: StanzaSetting): InterfacesFile {
  const own = file.stanzas.filter((stanza) => stanzaMatches(stanza, device, file.dialect) === 'exact');
  const options = own.flatMap(({ options }) => options.map((index) => ({ index, line: optionLine(file, index) })));
  const given = options
    .flatMap(({ index, line }) => {
      const hit = setting.read(line);
      return hit === undefined ? [] : [{ index, line, phase: hit.phase }];
    })
    .toSorted((a, b) => a.phase - b.phase)
    .at(-1);
  const rewritten = given && setting.rewrite(given.line);
  if (given !== undefined && rewritten !== undefined) return withOptionValue(file, given.index, rewritten);
  for (const { index, line } of options.toReversed()) {
    const value = setting.extend(line);
    if (value !== undefined) return withOptionValue(file, index, value);
  }
  const [home] = own;
  if (home === undefined) return file;
  return withOption(file, home, setting.added.key, setting.added.value, () => false);
}
