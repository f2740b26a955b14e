import { isIPv4 } from 'node:net';
import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type { Argv, Change, Observations, Resource, ResourcePlan, ResourceType, RunResult } from '../core/resource.ts';
import {
  type HostsEntry,
  type HostsLine,
  hasHostsEntry,
  isLoopback,
  isRival,
  normaliseAddress,
  parseHosts,
  removeHostsNames,
  setHostsEntry,
} from '../formats/hosts.ts';

const HOSTS = '/etc/hosts';
const NSSWITCH = '/etc/nsswitch.conf';
/** Seconds that the resolver may take for a name: one that only a dead name server could know. */
const LOOKUP_SECONDS = 3;

const Address = z
  .string()
  .refine((text) => normaliseAddress(text) !== null, {
    error: ({ input }) => `${JSON.stringify(input)} is no IPv4 or IPv6 address: a name goes into "names"`,
  })
  .describe('IPv4 or IPv6 address');

/** RFC 1123, 2.1, with the underscore that many sites use. */
const Name = z
  .string()
  .max(253)
  .regex(/^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*$/, {
    error: ({ input }) =>
      `${JSON.stringify(input)} is no host name: letters, digits and "-", parts of at most 63 characters with "." between them`,
  })
  .refine((name) => normaliseAddress(name) === null, {
    error: ({ input }) => `${JSON.stringify(input)} is an address: the names of an address go here`,
  });

const NAMES = '"names" is a list of names, the canonical one first';
const Names = z
  .array(Name, { error: NAMES })
  .min(1, { error: NAMES })
  .refine((names) => new Set(names.map((name) => name.toLowerCase())).size === names.length, {
    error: 'a name stands twice in "names": keep one of them',
  });

const Entry = z.strictObject({
  address: Address,
  names: Names.describe('Names of the address, the canonical one (the long one) first'),
});

const HostsEntryParams = z
  .strictObject({
    address: Address.optional().describe(
      'IPv4 or IPv6 address. Needed for present; for absent: only on the lines of this address, by default on all',
    ),
    names: Names.optional().describe(
      'Names of the address, the canonical one (the long one) first, such as [pve1.example.com, pve1]',
    ),
    entries: z
      .array(Entry, { error: '"entries" is a list of mappings with "address" and "names"' })
      .min(1)
      .optional()
      .describe('Several at once: a list of mappings with `address` and `names`, in place of these two'),
    state: z.enum(['present', 'absent']).default('present').describe('`present` (the default) or `absent`'),
  })
  .superRefine(({ address, names, entries, state }, context) => {
    const fault = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (entries !== undefined) {
      if (address !== undefined) fault(['address'], 'give either "entries" or "address" and "names", not both');
      if (names !== undefined) fault(['names'], 'give either "entries" or "address" and "names", not both');
      return;
    }
    if (names === undefined)
      fault([], '"hosts_entry" lacks "names": the names of the address, the canonical one first');
    if (address === undefined && state === 'present')
      fault([], '"hosts_entry" lacks "address": the address that the names shall have');
  })
  .superRefine(({ entries = [], state }, context) => {
    if (state === 'absent') return;
    const addresses = new Map<string, string>();
    entries.forEach(({ address, names }, index) => {
      for (const name of names) {
        const key = `${isIPv4(address) ? 'IPv4' : 'IPv6'} ${name.toLowerCase()}`;
        const known = addresses.get(key);
        addresses.set(key, address);
        if (known === undefined || normaliseAddress(known) === normaliseAddress(address)) continue;
        const message = `"${name}" is to be "${known}" and "${address}": a name has one address of each kind`;
        context.addIssue({ code: 'custom', path: ['entries', index, 'names'], message });
      }
    });
  });

interface Wanted {
  readonly address: string | null;
  readonly names: readonly string[];
}

/**
 * What asks the resolver as programs do. For IPv6 not `ahosts`: it gives no IPv6 address on a node that has none of its own
 * (AI_ADDRCONFIG of getaddrinfo(3)).
 */
function lookup(name: string, isV4: boolean): Argv {
  return ['timeout', String(LOOKUP_SECONDS), 'getent', isV4 ? 'ahostsv4' : 'hosts', name];
}

/** The addresses of one family that a name resolves to, in the resolver's order. */
function resolved(seen: Observations, name: string, isV4: boolean): readonly string[] {
  const result = seen.run(lookup(name, isV4));
  // 2: getent(1) found none; 124: timeout(1), a name server that does not answer.
  if (result.code === 2 || result.code === 124) return [];
  if (result.code !== 0) throw notAsked(result);
  const found = result.stdout.split('\n').map((line) => normaliseAddress(line.split(/\s/)[0] ?? ''));
  return [...new Set(found.filter((address) => address !== null && isIPv4(address) === isV4))].map(String);
}

function notAsked({ argv, code, stderr }: RunResult): HostError {
  const said = stderr.trim();
  return new HostError(`"${argv.join(' ')}" ended with exit code ${code}${said && `: ${said}`}`, {
    hint: 'it is part of libc-bin (Debian) or glibc-common (RHEL)',
  });
}

/** What is asked before the file, so that the file does not have the last word; nsswitch.conf(5). */
function asksBefore(seen: Observations): string | null {
  const line = seen.file(NSSWITCH)?.text.match(/^[ \t]*hosts:[ \t]*([^#\n]*)/m)?.[1] ?? 'files';
  const services = line
    .replace(/\[[^\]]*\]/g, ' ')
    .split(/\s+/)
    .filter(Boolean);
  const before = services.slice(0, Math.max(0, services.indexOf('files')));
  if (!services.includes('files')) return `${NSSWITCH} does not name "files" for hosts: ${HOSTS} is not read`;
  const others = before.filter((service) => service !== 'mymachines' && service !== 'myhostname');
  return others.length === 0 ? null : `${NSSWITCH} asks "${others.join(' ')}" before "files"`;
}

const shown = (values: readonly string[]): string | null => (values.length === 0 ? null : values.join(' '));

/** A line that gives one of the names another address, and what to know of it. */
function rivalOf(lines: readonly HostsLine[], names: readonly string[], address: string): HostsLine | undefined {
  const isOurs = (name: string) => names.some((each) => each.toLowerCase() === name.toLowerCase());
  return lines.find((line) => isRival(line, address) && line.names.some(isOurs));
}

function persistentChange(text: string, entry: HostsEntry, address: string): Change {
  const lines = parseHosts(text);
  const rival = rivalOf(lines, entry.names, address);
  const isOurs = (each: HostsLine) => each.address === address && each.names.some((name) => entry.names.includes(name));
  const line = rival ?? lines.find(isOurs);
  const own = rival !== undefined && isLoopback(rival.address) && !isLoopback(address);
  const note = own
    ? `${HOSTS}:${rival.line} gives the name the address ${rival.address}: corosync would bind to it, and no other node reach it`
    : undefined;
  return {
    layer: 'persistent',
    property: isIPv4(address) ? 'IPv4' : 'IPv6',
    from: line === undefined ? null : `${line.address} ${line.names.join(' ')}`,
    to: `${address} ${entry.names.join(' ')}`,
    file: HOSTS,
    ...(line !== undefined && { line: line.line }),
    ...(note !== undefined && { note }),
  };
}

function planPresent(seen: Observations, text: string, entry: HostsEntry): ResourcePlan {
  const address = normaliseAddress(entry.address) ?? entry.address;
  const isV4 = isIPv4(address);
  const note = asksBefore(seen);
  const runtime = entry.names.flatMap((name): Change[] => {
    const found = resolved(seen, name, isV4);
    if (found.length === 1 && found[0] === address) return [];
    const change: Change = { layer: 'runtime', property: name, from: shown(found), to: address, after: 'keep' };
    return [note === null ? change : { ...change, note }];
  });
  const isKept = hasHostsEntry(text, entry);
  const changes = isKept ? runtime : [...runtime, persistentChange(text, entry, address)];
  if (!isKept) {
    const edit = (now: string | null): string => setHostsEntry(now ?? '', entry);
    return { changes, try: [], undo: [], keep: [{ do: 'edit', path: HOSTS, edit }] };
  }
  if (runtime.length === 0) return { changes, try: [], undo: [], keep: [] };
  const why = note ?? `a cache such as nscd gives an old answer: "nscd -i hosts" clears it`;
  const blocked = `${HOSTS} is right, but "${runtime[0]?.property}" resolves to ${shown([String(runtime[0]?.from ?? 'nothing')])}: ${why}`;
  return { changes, try: [], undo: [], keep: [], blocked };
}

function planAbsent(seen: Observations, text: string, { address, names }: Wanted): ResourcePlan {
  const wanted = address === null ? null : normaliseAddress(address);
  const isOurs = (name: string) => names.some((each) => each.toLowerCase() === name.toLowerCase());
  const lines = parseHosts(text).filter(
    (line) => (wanted === null || line.address === wanted) && line.names.some(isOurs),
  );
  if (lines.length === 0) return { changes: [], try: [], undo: [], keep: [] };
  const given = new Set(lines.map((line) => line.address));
  const runtime = names.flatMap((name): Change[] => {
    const found = [true, false].flatMap((isV4) => resolved(seen, name, isV4)).filter((each) => given.has(each));
    return found.length === 0
      ? []
      : [{ layer: 'runtime', property: name, from: shown(found), to: null, after: 'keep' }];
  });
  const persistent = lines.map((line): Change => {
    const from = `${line.address} ${line.names.join(' ')}`;
    const rest = line.names.filter((name) => !isOurs(name));
    const to = rest.length === 0 ? null : `${line.address} ${rest.join(' ')}`;
    return { layer: 'persistent', property: 'entry', from, to, file: HOSTS, line: line.line };
  });
  const edit = (now: string | null): string | null => (now === null ? null : removeHostsNames(now, names, address));
  return { changes: [...runtime, ...persistent], try: [], undo: [], keep: [{ do: 'edit', path: HOSTS, edit }] };
}

function hostsResource({ address, names }: Wanted, state: 'present' | 'absent'): Resource {
  const families = state === 'absent' || address === null ? [true, false] : [isIPv4(address)];
  const property = address === null ? null : isIPv4(address) ? 'IPv4' : 'IPv6';
  const wanted = state === 'absent' || address === null ? null : normaliseAddress(address);
  return {
    id: `hosts_entry[${names[0]}]`,
    reads: [
      { read: 'file', path: HOSTS },
      { read: 'file', path: NSSWITCH },
      ...families.flatMap((isV4) => names.map((name) => ({ read: 'run' as const, argv: lookup(name, isV4) }))),
    ],
    wants: Object.fromEntries((property === null ? ['IPv4', 'IPv6'] : [property]).map((each) => [each, wanted])),
    plan(seen) {
      const text = seen.file(HOSTS)?.text ?? '';
      if (state === 'absent' || address === null) return planAbsent(seen, text, { address, names });
      return planPresent(seen, text, { address, names });
    },
  };
}

/**
 * Names of addresses in /etc/hosts, hosts(5). Persistent: the file. Runtime: what the resolver answers, which follows the file but
 * for another order in nsswitch.conf(5) or a cache.
 */
export const hostsEntry = {
  type: 'hosts_entry',
  summary: 'Names of addresses in /etc/hosts, such as those of all cluster nodes',
  schema: HostsEntryParams,
  example: `- name: Names of the cluster's nodes
  hosts_entry:
    entries:
      - { address: 192.0.2.11, names: [pve1.example.com, pve1] }
      - { address: 192.0.2.12, names: [pve2.example.com, pve2] }
      - { address: "2001:db8::12", names: [pve2.example.com, pve2] }
`,
  resources: ({ address, names, entries, state }) => {
    const wanted: readonly Wanted[] = entries ?? (names === undefined ? [] : [{ address: address ?? null, names }]);
    return wanted.map((each) => hostsResource(each, state));
  },
} satisfies ResourceType<typeof HostsEntryParams>;
