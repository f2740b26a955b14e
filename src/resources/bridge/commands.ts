import { joinCommands, type SimpleCommand, splitCommand, withoutAlternatives } from '../interfaces/hook-command.ts';
import { PROPERTIES, type Property } from './properties.ts';

/** What one simple command sets on the bridge. */
interface Setting {
  readonly property: Property;
  /** In the kernel's unit. */
  readonly value: number;
}

/** One simple command of a line and what it sets. */
interface Part extends SimpleCommand {
  readonly settings: readonly Setting[];
}

/** A command of an `up`, `post-up` or `pre-up` line, as far as it can be understood without running it. */
export interface HookCommand {
  /** In the order in which they are set. */
  readonly settings: readonly Setting[];
  /** Properties that the command seems to touch in a way not understood here. Their names. */
  readonly suspects: readonly string[];
  /** The command without what sets these properties; "" where nothing worth keeping is left. */
  without(properties: ReadonlySet<string>): string;
  /** The command with each setting of the property giving this value. */
  withValue(property: Property, value: number): string;
}

/**
 * Reads a command that ifup gives to a shell: `echo 1 > /sys/class/net/vmbr0/bridge/…` and `ip link set … type bridge …`,
 * joined by `;` and `&&`, in brackets or braces, with `$IFACE` for the bridge. Nothing is ever run.
 */
export function readCommand(command: string, bridge: string): HookCommand {
  const parts = readParts(command, bridge);
  if (parts === undefined || parts.every((part) => part.settings.length === 0)) {
    return { settings: [], suspects: mentioned(command, bridge), without: () => command, withValue: () => command };
  }
  const settings = parts.flatMap((part) => part.settings);
  const rest = parts.filter((part) => part.settings.length === 0).map((part) => part.text);
  return {
    settings,
    suspects: mentioned(rest.join('\n'), bridge),
    without: (properties) => joinCommands(withoutAlternatives(parts, (part) => cut(part, properties, bridge))),
    withValue: (property, value) => joinCommands(parts.map((part) => change(part, property, value, bridge))),
  };
}

/** The command that sets a property at boot with classic ifupdown. `bridge` must be free of what a shell interprets. */
export function bootCommand(bridge: string, property: Property, value: number): string {
  return `echo ${value} > /sys/class/net/${bridge}/bridge/${property.sysfs}`;
}

/** A part without some properties; undefined where nothing is left of it. */
function cut(part: Part, properties: ReadonlySet<string>, bridge: string): Part | undefined {
  const left = part.settings.filter((setting) => !properties.has(setting.property.name));
  if (left.length === part.settings.length) return part;
  return left.length === 0 ? undefined : { ...part, text: rebuild(part, left, bridge), settings: left };
}

function change(part: Part, property: Property, value: number, bridge: string): Part {
  if (!part.settings.some((setting) => setting.property === property && setting.value !== value)) return part;
  const settings = part.settings.map((setting) => (setting.property === property ? { property, value } : setting));
  return { ...part, text: rebuild(part, settings, bridge), settings };
}

/** The same command with other settings; `ip` keeps its path and the arguments that are none of ours. */
function rebuild(part: Part, settings: readonly Setting[], bridge: string): string {
  const [first] = settings;
  if (part.words.includes('type') && part.words.includes('bridge')) {
    const at = part.words.indexOf('type') + 2;
    const foreign = pairs(part.words.slice(at)).filter(([key]) => !PROPERTIES.some((each) => each.ip === key));
    const ours = settings.map(({ property, value }) => [property.ip, String(value)]);
    return [...part.words.slice(0, at), ...ours.flat(), ...foreign.flat()].join(' ');
  }
  return first === undefined ? '' : bootCommand(bridge, first.property, first.value);
}

function pairs(words: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let at = 0; at < words.length; at += 2) out.push([words[at] ?? '', words[at + 1] ?? '']);
  return out;
}

/** Names of the properties that a text mentions, under any of their spellings. */
function mentioned(text: string, bridge: string): string[] {
  const others = /\/net\/([\w.-]+)\/bridge\/\w+/g;
  // Settings of single VLANs have the same names (resource bridge_vlan).
  const own = text
    .replace(others, (path, device) => (device === bridge ? path : ''))
    .replace(/\bbridge\s+vlan\s[^;&|]*/g, '');
  const words = new Set(own.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? []);
  return PROPERTIES.filter(
    ({ name, sysfs, ip, ifupdown2 }) =>
      words.has(name) || words.has(sysfs) || words.has(ip) || words.has(ifupdown2.replace('bridge-', 'set')),
  ).map(({ name }) => name);
}

/** undefined: the line is more than simple commands. */
function readParts(command: string, bridge: string): Part[] | undefined {
  return splitCommand(command, bridge)?.map((part) => ({
    ...part,
    settings: [...readEcho(part.words, bridge), ...readIp(part.words, bridge)],
  }));
}

function readEcho(words: readonly string[], bridge: string): Setting[] {
  const [program, ...rest] = words.filter((word) => !/^(?:-n|2>|\/dev\/null)$/.test(word));
  const [value = '', redirect, path = '', ...more] = rest;
  if (!/^(?:\/bin\/|\/usr\/bin\/)?(?:echo|printf)$/.test(program ?? '')) return [];
  if (redirect !== '>' || more.length > 0 || !/^\d{1,15}$/.test(value)) return [];
  const parsed = /^\/sys\/(?:class|devices\/virtual)\/net\/([^/]+)\/bridge\/([^/]+)$/.exec(path);
  const property = PROPERTIES.find((each) => each.sysfs === parsed?.[2]);
  return property !== undefined && parsed?.[1] === bridge ? [{ property, value: normal(property, value) }] : [];
}

function readIp(words: readonly string[], bridge: string): Setting[] {
  const [program = '', ...rest] = words;
  if (!/^(?:\/s?bin\/|\/usr\/s?bin\/)?ip$/.test(program)) return [];
  const at = rest.indexOf('type');
  const head = rest.slice(0, at).filter((word) => word !== 'dev');
  // `rebuild` writes the words back without quotes.
  if (!words.every((word) => /^[\w./:,=+-]+$/.test(word))) return [];
  if (at < 0 || rest[at + 1] !== 'bridge' || head.join(' ') !== `link set ${bridge}`) return [];
  return pairs(rest.slice(at + 2)).flatMap(([key, value]) => {
    const property = PROPERTIES.find((each) => each.ip === key);
    return property !== undefined && /^\d{1,15}$/.test(value) ? [{ property, value: normal(property, value) }] : [];
  });
}

function normal(property: Property, value: string): number {
  return property.kind === 'flag' ? Number(Number(value) !== 0) : Number(value);
}
