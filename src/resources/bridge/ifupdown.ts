import type { Change, Observations, Step } from '../../core/resource.ts';
import {
  type InterfacesFile,
  lineAt,
  parseInterfaces,
  printInterfaces,
  stanzaMatches,
  withOption,
  withOptionValue,
  withoutLine,
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
} from '../interfaces/files.ts';
import { isPlainName } from '../interfaces/hook-command.ts';
import { bootCommand, type HookCommand, readCommand } from './commands.ts';
import { type Property, shown, type Wanted } from './properties.ts';

/** A line that gives a property. */
interface Hit {
  readonly place: PlacedStanza;
  readonly index: number;
  readonly number: number;
  readonly text: string;
  /** In the kernel's unit; null where the program can't read it and sets nothing. */
  readonly value: number | null;
}

/**
 * Compares the stanzas of a bridge in /etc/network/interfaces with what is wanted.
 * @returns undefined where no stanza names the bridge
 * @throws HostError where the Proxmox GUI holds changes that nobody applied yet
 */
export function planInterfaces(
  bridge: string,
  wanted: readonly Wanted[],
  tree: InterfacesTree,
  seen: Observations,
): PersistentPlan | undefined {
  refusePending(seen);
  const places = stanzasOf(tree, bridge);
  const [home] = [...places.filter(isBridgeStanza), ...places];
  if (home === undefined) return planRange(bridge, wanted, tree);
  const hasAttributes = tree.dialect === 'ifupdown2' && places.some(isBridgeStanza);
  const chain = [...new Set(places.flatMap((place) => [...parentsOf(place, tree), place]))];
  const changes: Change[] = [];
  const reasons = new Set<string>();
  const edits = new Map<string, TextEdit[]>();
  const add = (path: string, edit: TextEdit) => edits.set(path, [...(edits.get(path) ?? []), edit]);
  for (const want of wanted) {
    const hits = {
      attributes: attributeHits(places, want.property),
      commands: commandHits(chain, bridge, want.property),
    };
    const plan = (hasAttributes ? planAttribute : planCommand)(bridge, want, home, hits);
    if (plan === undefined) continue;
    changes.push(withSuspects(plan.change, chain, bridge, want.property));
    const reason = plan.blocked ?? generatedBy(plan.edits.keys());
    if (reason !== undefined) reasons.add(reason);
    for (const [path, edit] of plan.edits) add(path, edit);
  }
  const keep = [...edits].map(([path, all]): Step => ({ do: 'edit', path, edit: applyAll(all) }));
  return { changes, keep, blocked: reasons.size > 0 ? [...reasons].join('; ') : undefined };
}

interface OnePlan {
  readonly change: Change;
  readonly edits: ReadonlyMap<string, TextEdit>;
  readonly blocked?: string;
}

interface Hits {
  /** In the order in which they are read. */
  readonly attributes: readonly Hit[];
  /** In the order in which they run. */
  readonly commands: readonly Hit[];
}

/** ifupdown2: the first attribute counts, then commands override it; without it every reload resets the value. */
function planAttribute(bridge: string, want: Wanted, home: PlacedStanza, hits: Hits): OnePlan | undefined {
  const { property, value } = want;
  const [first] = hits.attributes;
  const wrong = hits.commands.findLast((hit) => hit.value !== value);
  const isAttributeRight = first?.value === value;
  if (isAttributeRight && wrong === undefined) return undefined;
  const giver = wrong !== undefined && (isAttributeRight || wrong === hits.commands.at(-1)) ? wrong : first;
  const command = wrong ?? hits.commands.at(-1);
  const line = (giver ?? command)?.number;
  const note =
    command &&
    `"${command.text}" (${command.place.path}:${command.number}) fights ifupdown2 and is replaced by "${property.ifupdown2}"`;
  const target = first?.place.path ?? home.path;
  const written = attributeText(want);
  const edits = new Map<string, TextEdit>();
  for (const path of new Set([target, ...hits.commands.map((hit) => hit.place.path)])) {
    edits.set(path, (text) => {
      const clean = withoutCommands(parseInterfaces(text, 'ifupdown2'), bridge, property);
      return printInterfaces(
        path === target && written !== undefined ? withAttribute(clean, bridge, property, written) : clean,
      );
    });
  }
  return {
    change: changeOf(want, giver ?? null, giver?.place.path ?? command?.place.path ?? target, line, note),
    edits,
    ...(written === undefined && {
      blocked: `ifupdown2 takes whole seconds: "${property.ifupdown2}" can't be ${value / 100}`,
    }),
  };
}

/** Classic ifupdown: the last command counts; attributes of ifupdown2 mean nothing to it. */
function planCommand(bridge: string, want: Wanted, home: PlacedStanza, hits: Hits): OnePlan | undefined {
  const { value } = want;
  const last = hits.commands.at(-1);
  if (last?.value === value) return undefined;
  const [ignored] = hits.attributes;
  const note =
    ignored &&
    `"${ignored.text}" (${ignored.place.path}:${ignored.number}) is an option of ifupdown2 and does nothing here`;
  const isOwn = last !== undefined && stanzaMatches(last.place.stanza, bridge, last.place.file.dialect) === 'exact';
  const target = isOwn ? last.place : home;
  const edit: TextEdit = (text) =>
    printInterfaces(withCommand(parseInterfaces(text, target.file.dialect), bridge, want));
  return {
    change: changeOf(want, last ?? null, last?.place.path ?? target.path, last?.number, note),
    edits: new Map([[target.path, edit]]),
    ...(!isPlainName(bridge) && {
      blocked: `"${bridge}" has characters that a shell interprets: no "post-up" line is written for it`,
    }),
  };
}

function changeOf(
  want: Wanted,
  hit: Hit | null,
  file: string,
  line: number | undefined,
  note: string | undefined,
): Change {
  const { property, value } = want;
  const from = hit === null ? null : hit.value === null ? hit.text.replace(/^\S+ /, '') : shown(property, hit.value);
  return {
    layer: 'persistent',
    property: property.name,
    from,
    to: shown(property, value),
    file,
    ...(line !== undefined && { line }),
    ...(note !== undefined && { note }),
  };
}

/** The value of an attribute as ifupdown2 wants it; undefined where it can't say it. */
function attributeText({ property, value }: Wanted): string | undefined {
  if (property.kind !== 'seconds') return String(value);
  return value % 100 === 0 ? String(value / 100) : undefined;
}

/** As get_boolean_from_string and int() of ifupdown2 read it: what is no known word is false, what is no number is not set. */
function attributeValue(property: Property, text: string): number | null {
  const isTrue = /^(?:on|yes|1|fast)$/.test(text);
  if (property.kind === 'flag') return Number(isTrue);
  if (/^[+-]?\d{1,12}$/.test(text)) return Number(text) * (property.kind === 'seconds' ? 100 : 1);
  return property.name === 'multicast_router' ? Number(isTrue) : null;
}

function isAttribute(key: string, property: Property): boolean {
  return key.replaceAll('_', '-') === property.ifupdown2;
}

function isBridgeStanza({ file, stanza }: Pick<PlacedStanza, 'file' | 'stanza'>): boolean {
  return stanza.options.some((index) => /^bridge[-_](?:ports|vlan[-_]aware)$/.test(lineAt(file, index).key));
}

function attributeHits(places: readonly PlacedStanza[], property: Property): Hit[] {
  return places.flatMap((place) =>
    place.stanza.options.flatMap((index) => {
      const { key, value, number } = lineAt(place.file, index);
      if (!isAttribute(key, property)) return [];
      return [{ place, index, number, text: `${key} ${value}`, value: attributeValue(property, value) }];
    }),
  );
}

function commandHits(places: readonly PlacedStanza[], bridge: string, property: Property): Hit[] {
  const hits = places.flatMap((place) =>
    place.stanza.options.flatMap((index) => {
      const line = lineAt(place.file, index);
      const phase = phaseOf(line.key, place.file);
      const setting = phase && readCommand(line.value, bridge).settings.findLast((each) => each.property === property);
      if (!setting) return [];
      return [{ place, index, number: line.number, text: `${line.key} ${line.value}`, value: setting.value, phase }];
    }),
  );
  return hits.toSorted((a, b) => a.phase - b.phase);
}

function withSuspects(change: Change, places: readonly PlacedStanza[], bridge: string, property: Property): Change {
  const notes = places.flatMap(({ path, file, stanza }) =>
    stanza.options.flatMap((index) => {
      const line = lineAt(file, index);
      const isSuspect = phaseOf(line.key, file) > 0 && readCommand(line.value, bridge).suspects.includes(property.name);
      return isSuspect ? [`"${line.key} ${line.value}" (${path}:${line.number}) may set it too and is left alone`] : [];
    }),
  );
  const all = [...(change.note ? [change.note] : []), ...notes];
  return all.length > 0 ? { ...change, note: all.join('; ') } : change;
}

function stanzasIn(file: InterfacesFile, bridge: string): { options: readonly number[]; isHome: boolean }[] {
  const own = file.stanzas.filter((stanza) => stanzaMatches(stanza, bridge, file.dialect) === 'exact');
  const home = own.find((stanza) => isBridgeStanza({ file, stanza })) ?? own[0];
  return own.map((stanza) => ({ ...stanza, isHome: stanza === home }));
}

function withoutCommands(file: InterfacesFile, bridge: string, property: Property): InterfacesFile {
  const only = new Set([property.name]);
  const found = findCommand(file, bridge, property);
  if (found === undefined) return file;
  const left = found.command.without(only);
  const next = left === '' ? withoutLine(file, found.index) : withOptionValue(file, found.index, left);
  return withoutCommands(next, bridge, property);
}

/** The last command that sets the property in the stanzas of the bridge. */
function findCommand(
  file: InterfacesFile,
  bridge: string,
  property: Property,
): { index: number; command: HookCommand } | undefined {
  const found = stanzasIn(file, bridge).flatMap(({ options }) =>
    options.flatMap((index) => {
      const line = lineAt(file, index);
      const phase = phaseOf(line.key, file);
      const command = readCommand(line.value, bridge);
      const sets = phase > 0 && command.settings.some((setting) => setting.property === property);
      return sets ? [{ index, command, phase }] : [];
    }),
  );
  return found.toSorted((a, b) => a.phase - b.phase).at(-1);
}

function withAttribute(file: InterfacesFile, bridge: string, property: Property, value: string): InterfacesFile {
  const own = stanzasIn(file, bridge);
  const indices = own
    .flatMap(({ options }) => options)
    .filter((index) => isAttribute(lineAt(file, index).key, property));
  const [first, second] = indices;
  if (second !== undefined) return withAttribute(withoutLine(file, second), bridge, property, value);
  if (first !== undefined) {
    const isRight = attributeValue(property, lineAt(file, first).value) === attributeValue(property, value);
    return isRight ? file : withOptionValue(file, first, value);
  }
  const home = file.stanzas.filter((stanza) => stanzaMatches(stanza, bridge, file.dialect) === 'exact')[
    own.findIndex(({ isHome }) => isHome)
  ];
  if (home === undefined) return file;
  return withOption(file, home, property.ifupdown2, value, (line) => /^bridge[-_]/.test(line.key));
}

function withCommand(file: InterfacesFile, bridge: string, { property, value }: Wanted): InterfacesFile {
  const found = findCommand(file, bridge, property);
  if (found !== undefined) return withOptionValue(file, found.index, found.command.withValue(property, value));
  const own = file.stanzas.filter((stanza) => stanzaMatches(stanza, bridge, file.dialect) === 'exact');
  const home = own.find((stanza) => isBridgeStanza({ file, stanza })) ?? own[0];
  if (home === undefined) return file;
  return withOption(file, home, 'post-up', bootCommand(bridge, property, value), () => false);
}

/** A range such as `vmbr[0-3]` makes several bridges: an edit for one would change all. */
function planRange(bridge: string, wanted: readonly Wanted[], tree: InterfacesTree): PersistentPlan | undefined {
  const places = stanzasOf(tree, bridge, 'range');
  const [range] = places;
  if (range === undefined) return undefined;
  const changes = wanted.flatMap((want) => {
    const [first] = attributeHits(places, want.property);
    return first?.value === want.value ? [] : [changeOf(want, first ?? null, range.path, first?.number, undefined)];
  });
  return { changes, keep: [], blocked: changes.length > 0 ? rangeReason(range, bridge) : undefined };
}
