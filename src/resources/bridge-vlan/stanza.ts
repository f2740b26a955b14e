import { PROPERTIES, shown, type Wanted } from '../bridge/properties.ts';
import { commandValue, type OptionLine, type StanzaSetting, withCommand } from '../interfaces/stanza.ts';

/** `mcast_vlan_snooping 1` in a command of the bridge's stanza. */
export function snoopingSetting(bridge: string): StanzaSetting {
  const key = 'mcast_vlan_snooping';
  const value = (words: readonly string[]): string | undefined => readLink(words, bridge)?.options.get(key);
  return {
    name: key,
    to: true,
    read(line) {
      const found = commandValue(line, bridge, value);
      return found === undefined ? undefined : { value: found !== '0', phase: line.phase };
    },
    isRight: (found) => found === true,
    rewrite: (line) =>
      withCommand(line, bridge, (words) =>
        value(words) === undefined ? undefined : words.map((word, at) => (words[at - 1] === key ? '1' : word)),
      ),
    extend: () => undefined,
    added: { key: 'post-up', value: `ip link set dev ${bridge} type bridge ${key} 1` },
    remark: (line) => suspect(line, bridge, key, value),
  };
}

/** One property of a VLAN in a command of the bridge's stanza. A line for several VLANs is read, but only one for this VLAN is changed. */
export function vlanSetting(bridge: string, vlan: number, { property, value }: Wanted): StanzaSetting {
  const own = (words: readonly string[]): VlanCommand | undefined => {
    const command = readVlan(words, bridge);
    return command?.first === vlan && command.last === vlan ? command : undefined;
  };
  const read = (words: readonly string[]): string | undefined => {
    const command = readVlan(words, bridge);
    const isOurs = command !== undefined && command.first <= vlan && vlan <= command.last;
    return isOurs ? command.options.get(property.ip) : undefined;
  };
  const edit = (words: readonly string[]): readonly string[] | undefined => {
    const command = own(words);
    if (command === undefined) return undefined;
    const options = new Map([...command.options, [property.ip, String(value)]]);
    return [...command.head, ...[...options].flat()];
  };
  return {
    name: property.name,
    to: shown(property, value),
    read(line) {
      const found = commandValue(line, bridge, read);
      if (found === undefined) return undefined;
      const isNumber = /^\d{1,15}$/.test(String(found));
      return { value: isNumber ? shown(property, Number(found)) : found, phase: line.phase };
    },
    isRight: (found) => found === shown(property, value),
    rewrite: (line) =>
      commandValue(line, bridge, (words) => own(words)?.options.get(property.ip)) === undefined
        ? undefined
        : withCommand(line, bridge, edit),
    extend: (line) =>
      commandValue(line, bridge, (words) => own(words)?.first) === undefined
        ? undefined
        : withCommand(line, bridge, edit),
    added: { key: 'post-up', value: `bridge vlan global set dev ${bridge} vid ${vlan} ${property.ip} ${value}` },
    remark: (line) =>
      /vlan\s+global/.test(line.value)
        ? suspect(line, bridge, property.ip, (words) => readVlan(words, bridge)?.first)
        : undefined,
  };
}

interface VlanCommand {
  readonly head: readonly string[];
  readonly first: number;
  readonly last: number;
  readonly options: ReadonlyMap<string, string>;
}

/** `bridge vlan global set dev BRIDGE vid N[-M] …`, `dev` and `vid` wherever they stand. */
function readVlan(words: readonly string[], bridge: string): VlanCommand | undefined {
  const [program = '', ...rest] = words;
  if (!/^(?:(?:\/usr)?\/s?bin\/)?bridge$/.test(program) || rest.slice(0, 3).join(' ') !== 'vlan global set')
    return undefined;
  const pairs = pairsOf(rest.slice(3));
  const range = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(pairs?.get('vid') ?? '');
  if (pairs?.get('dev') !== bridge || range === null) return undefined;
  const options = new Map([...pairs].filter(([key]) => PROPERTIES.some(({ ip }) => ip === key)));
  const foreign = [...pairs].filter(([key]) => !options.has(key)).flat();
  const [, first, last = first] = range;
  return { head: [program, 'vlan', 'global', 'set', ...foreign], first: Number(first), last: Number(last), options };
}

/** `ip link set [dev] BRIDGE type bridge …`. */
function readLink(words: readonly string[], bridge: string): { options: ReadonlyMap<string, string> } | undefined {
  const at = words.indexOf('type');
  const head = words.slice(0, at).filter((word) => word !== 'dev');
  if (!/^(?:(?:\/usr)?\/s?bin\/)?ip$/.test(head[0] ?? '') || words[at + 1] !== 'bridge') return undefined;
  if (head.slice(1).join(' ') !== `link set ${bridge}`) return undefined;
  const options = pairsOf(words.slice(at + 2));
  return options && { options };
}

function pairsOf(words: readonly string[]): Map<string, string> | undefined {
  if (words.length % 2 !== 0) return undefined;
  return new Map(Array.from({ length: words.length / 2 }, (_, at) => [words[2 * at] ?? '', words[2 * at + 1] ?? '']));
}

/** A command that names a setting and is not understood. */
function suspect(
  line: OptionLine,
  bridge: string,
  key: string,
  read: (words: readonly string[]) => string | number | undefined,
): string | undefined {
  if (line.phase === 0 || !line.value.includes(key) || commandValue(line, bridge, read) !== undefined) return undefined;
  return `"${line.key} ${line.value}" may set it too and is left alone`;
}
