import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type { Impact, Observations, Read, Resource, ResourcePlan, ResourceType, Step } from '../core/resource.ts';
import { deviceName } from './device-name.ts';
import { INTERFACES_READS, type InterfacesTree, type PersistentPlan, readTree, stanzasOf } from './interfaces/files.ts';
import { hitsOf, planStanza } from './interfaces/stanza.ts';
import { linkFileOf, linkReads, linkSize, planLink } from './ring/link.ts';
import { RINGS, type Ring, type WantedRing } from './ring/rings.ts';
import { maximumOf, planRuntime, readRings, runtimeReads } from './ring/runtime.ts';
import { ringSetting, type StanzaAbilities } from './ring/stanza.ts';

const SIZE_FAULT = 'must be a whole number from 1, or max';

const size = (what: string) =>
  z
    .union([z.literal('max'), z.int().min(1, SIZE_FAULT).max(4294967295, SIZE_FAULT)], { error: SIZE_FAULT })
    .optional()
    .describe(`Entries of the ${what}: a whole number from 1, or max for what the device can do`);

const RingParams = z
  .strictObject({
    device: deviceName('a NIC', 'ens4')
      .refine((name) => !name.startsWith('-'), 'must not begin with "-": ethtool would take it for an option')
      .describe('Name of the NIC, such as ens4; of a bond or bridge, the ports'),
    rx: size('receive ring'),
    rx_mini: size('receive ring for small packets'),
    rx_jumbo: size('receive ring for large packets'),
    tx: size('send ring'),
    when_unsupported: z
      .literal(['skip', 'fail'], { error: 'must be skip or fail' })
      .default('skip')
      .describe('What to do where the device has no such ring: skip leaves it alone and says so, fail is an error'),
  })
  .superRefine((params, context) => {
    if (context.issues.length === 0 && RINGS.every(({ name }) => params[name] === undefined))
      context.addIssue({ code: 'custom', path: [], message: 'names no ring: add at least one, such as rx: max' });
  });

type RingParams = z.output<typeof RingParams>;

const HOOK = '/etc/network/if-up.d/ethtool';
/** ifupdown2 tells by its own source whether it knows the options: Debian 12's does not. */
const HAS_RING_OPTIONS = ['grep', '-c', '-F', 'ring-rx', '/usr/share/ifupdown2/addons/ethtool.py'] as const;

/**
 * The rings of a NIC. Running: ethtool(8). Persistent: in the stanza of the device where ifupdown brings it up, else in the .link file
 * that udev takes for it.
 */
export const ring = {
  type: 'ring',
  summary: 'Sizes of the receive and send rings of a NIC, now and at the next boot',
  schema: RingParams,
  example: `- name: Rings that take a burst
  ring: { device: ens4, rx: max, tx: 1024 }
`,
  resources: (params) => [ringResource(params)],
} satisfies ResourceType<typeof RingParams>;

function ringResource(params: RingParams): Resource {
  const { device } = params;
  const wishes = RINGS.flatMap((each) => {
    const wish = params[each.name];
    return wish === undefined ? [] : [{ ring: each, wish }];
  });
  const reads: readonly Read[] = [
    ...runtimeReads(device),
    ...INTERFACES_READS,
    { read: 'run', argv: HAS_RING_OPTIONS },
    { read: 'file', path: HOOK },
    ...linkReads(device),
  ];
  return {
    id: `ring[${device}]`,
    reads,
    wants: Object.fromEntries(wishes.map(({ ring: { name }, wish }) => [name, wish])),
    plan: (seen) => plan(device, wishes, params.when_unsupported, seen),
  };
}

interface Wish {
  readonly ring: Ring;
  readonly wish: number | 'max';
}

function plan(
  device: string,
  wishes: readonly Wish[],
  whenUnsupported: 'skip' | 'fail',
  seen: Observations,
): ResourcePlan {
  const rings = readRings(device, seen);
  const isThere = ({ ring: each }: Wish): boolean => rings.kind === 'rings' && maximumOf(each, rings.maximum) > 0;
  const missing = wishes.filter((wish) => !isThere(wish)).map((wish) => wish.ring.name);
  const reason =
    rings.kind === 'unsupported'
      ? rings.message
      : `"${device}" has no ring ${missing.map((name) => `"${name}"`).join(', ')}`;
  if (missing.length > 0 && whenUnsupported === 'fail') {
    throw new HostError(reason, { hint: 'leave it out, or write when_unsupported: skip' });
  }
  if (rings.kind === 'unsupported' || missing.length === wishes.length) {
    return { ...NOTHING, skipped: `${reason}: left alone` };
  }
  const wanted = wishes.filter(isThere).map((wish): WantedRing => {
    const maximum = maximumOf(wish.ring, rings.maximum);
    return { ...wish, maximum, size: wish.wish === 'max' ? maximum : wish.wish };
  });
  refuseTooLarge(device, wanted);
  const runtime = planRuntime(device, wanted, rings.current);
  const persistent = planPersistent(device, wanted, seen);
  const notes = [...runtime.notes, ...(missing.length > 0 ? [`${reason}: left out`] : [])];
  return {
    changes: [...runtime.changes, ...persistent.changes],
    try: runtime.try,
    undo: runtime.undo,
    keep: persistent.keep,
    unkeep: persistent.keep.filter((step): step is Extract<Step, { do: 'run' }> => step.do === 'run'),
    ...(persistent.blocked !== undefined && { blocked: persistent.blocked }),
    ...(runtime.changes.length > 0 && { impact: linkDown(device) }),
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
}

const NOTHING: ResourcePlan = { changes: [], try: [], undo: [], keep: [] };

function linkDown(device: string): Impact {
  const text = `the link of "${device}" may be lost for some seconds while its driver makes new rings (seen: up to 3 s)`;
  return { kind: 'link-down', text };
}

/** @throws HostError naming all rings that are asked for too much */
function refuseTooLarge(device: string, wanted: readonly WantedRing[]): void {
  const over = wanted.filter((each) => each.size > each.maximum);
  if (over.length === 0) return;
  const said = over.map((each) => `${each.ring.name} is at most ${each.maximum}, not ${each.size}`);
  throw new HostError(`the rings of "${device}" can't be so large: ${said.join('; ')}`, {
    hint: 'write the maximum, or max',
  });
}

/**
 * What a boot gives is the last word of ifupdown, which comes after udev; where no line of it names the ring, that of the .link file.
 * What gives a value now is edited; else ifupdown's stanza where it brings the device up, else the .link file.
 */
function planPersistent(device: string, wanted: readonly WantedRing[], seen: Observations): PersistentPlan {
  const tree = readTree(seen);
  const link = linkFileOf(device, seen);
  const abilities: StanzaAbilities = {
    dialect: tree.dialect,
    hasRingOptions: Number(seen.run(HAS_RING_OPTIONS).stdout) > 0,
    hasHook: seen.file(HOOK) !== null,
  };
  const hasStanza = isBroughtUp(device, tree);
  const isForStanza = (each: WantedRing): boolean => {
    const isGiven = hitsOf(device, tree, ringSetting(device, each, abilities)).length > 0;
    if (isGiven) return true;
    return hasStanza && (link === undefined || linkSize(link, each) === undefined);
  };
  const here = wanted.filter(isForStanza);
  const there = wanted.filter((each) => !here.includes(each));
  const settings = here.map((each) => ringSetting(device, each, abilities));
  const plans = [
    here.length > 0 ? planStanza(device, settings, tree, seen) : undefined,
    there.length === 0 ? undefined : link === undefined ? unplaced(device, there) : planLink(device, there, link, seen),
  ].filter((each) => each !== undefined);
  const reasons = plans.flatMap(({ blocked }) => blocked ?? []);
  return {
    changes: plans.flatMap(({ changes }) => changes),
    keep: plans.flatMap(({ keep }) => keep),
    blocked: reasons.length > 0 ? reasons.join('; ') : undefined,
  };
}

/** Whether ifupdown runs the lines of the device's stanza. For ports of a bridge that have no `auto` line only ifupdown2 does. */
function isBroughtUp(device: string, tree: InterfacesTree): boolean {
  const match = stanzasOf(tree, device).length > 0 || stanzasOf(tree, device, 'range').length > 0;
  return match && (tree.dialect === 'ifupdown2' || tree.automatic.has(device));
}

function unplaced(device: string, wanted: readonly WantedRing[]): PersistentPlan {
  return {
    changes: wanted.map(({ ring: { name }, size: to }) => ({ layer: 'persistent', property: name, from: null, to })),
    keep: [],
    blocked: `no file gives "${device}" its rings at boot: neither does ifupdown bring it up (give it "auto ${device}" and an "iface" stanza), nor does udev take a .link file for it`,
  };
}
