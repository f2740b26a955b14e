import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type {
  Argv,
  Change,
  Layer,
  Observations,
  Read,
  Resource,
  ResourcePlan,
  ResourceType,
  Step,
} from '../core/resource.ts';
import type { FirewallBackend } from './firewall/backend.ts';
import { conditionsOf } from './firewall/conditions.ts';
import { judge } from './firewall/judge.ts';
import {
  type AcceptRule,
  acceptRules,
  checkWish,
  propertyOf,
  showPorts,
  WISH_SHAPE,
  type Wish,
  wishId,
  wishOf,
  wishWants,
} from './firewall/wish.ts';
import { commands, has, joinedPorts, type Setting, settingsOf, withSettings } from './firewalld/settings.ts';
import { parseServicePorts, parseZones, type Services, type Zone, zoneChain } from './firewalld/zone.ts';

/** The one service of firewalld that is about corosync. */
const SERVICE = 'high-availability';

const zonesOf = (layer: Layer): Argv =>
  layer === 'runtime' ? ['firewall-cmd', '--list-all-zones'] : ['firewall-cmd', '--permanent', '--list-all-zones'];

/** Holds the default zone, which has no layers: changing it changes this file too (firewalld.conf(5)). */
const CONF = '/etc/firewalld/firewalld.conf';
/** The first that exists counts. */
const SERVICE_FILES = ['/etc', '/usr/lib'].map((folder) => `${folder}/firewalld/services/${SERVICE}.xml`);

/** Each start of firewall-cmd costs a node a sixth of a second: what files tell as well is read there. */
const READS: readonly Read[] = [
  { read: 'run', argv: zonesOf('runtime') },
  { read: 'run', argv: zonesOf('persistent') },
  ...[CONF, ...SERVICE_FILES].map((path): Read => ({ read: 'file', path })),
];

const Shape = z.strictObject({
  ...WISH_SHAPE,
  zone: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,16}$/, 'is the name of a zone: at most 17 letters, digits, "_" and "-"')
    .optional()
    .describe(
      'The zone that lets it in; by default that of `interface`, and without one the default zone and every other that has interfaces or sources',
    ),
});
const FirewalldParams = Shape.superRefine(({ zone, ...wish }, context) => {
  checkWish(wish, context);
  if (zone !== undefined && wish.interface !== undefined)
    context.addIssue({
      code: 'custom',
      path: ['zone'],
      message: 'goes without "interface": a zone has its interfaces; keep one of them',
    });
});

/** The output of a program of firewalld. */
function said(seen: Observations, argv: Argv): string {
  const { code, stdout, stderr } = seen.run(argv);
  if (code === 0) return stdout;
  const why = (stderr.trim() || stdout.trim()).split('\n').at(-1) ?? '';
  const hint =
    code === 127
      ? 'install firewalld, or name the firewall that this node has'
      : 'start firewalld ("systemctl start firewalld"), or name the firewall that this node has';
  throw new HostError(`"${argv.join(' ')}" ended with ${code}: ${why}`, { hint });
}

function servicesOf(seen: Observations): Services {
  const file = SERVICE_FILES.map((path) => seen.file(path)).find((each) => each !== null);
  return new Map(file ? [[SERVICE, parseServicePorts(file.text)]] : []);
}

function defaultZone(seen: Observations): string {
  // firewalld itself falls back to "public".
  return /^[ \t]*DefaultZone[ \t]*=[ \t]*(?<zone>\S+)/m.exec(seen.file(CONF)?.text ?? '')?.groups?.zone ?? 'public';
}

/** The zones that see what the wish is about. */
function zonesFor(
  wish: Wish,
  zone: string | null,
  zones: ReadonlyMap<string, Zone>,
  byDefault: string,
): readonly string[] {
  if (zone !== null) return [zone];
  const all = [...zones.values()];
  if (wish.interface !== null)
    return [all.find(({ interfaces }) => interfaces.includes(wish.interface ?? ''))?.name ?? byDefault];
  const active = all
    .filter(({ interfaces, sources }) => interfaces.length + sources.length > 0)
    .map(({ name }) => name);
  return [byDefault, ...active.filter((name) => name !== byDefault)];
}

interface Difference {
  readonly change: Change;
  readonly settings: readonly Setting[];
  readonly blocked?: string;
}

function told({ dports }: AcceptRule): string {
  return ['accept', ...dports.map((range) => showPorts(range))].join(' ');
}

function differences(wish: Wish, zone: Zone, layer: Layer, services: Services): readonly Difference[] {
  const rules = wish.families.flatMap((family) => acceptRules(wish, family));
  return rules.flatMap((rule): Difference[] => {
    const settings = settingsOf(rule, wish);
    const change = (from: unknown, to: unknown, note?: string): Change => ({
      layer,
      property: `${propertyOf(rule)} in zone "${zone.name}"`,
      from,
      to,
      ...(layer === 'persistent' && { file: `/etc/firewalld/zones/${zone.name}.xml` }),
      ...(note !== undefined && { note }),
    });
    if (wish.state === 'absent') {
      const present = settings.filter((setting) => has(zone, setting));
      return present.length === 0 ? [] : [{ change: change(told(rule), 'absent'), settings: present }];
    }
    // A zone is that of its interfaces already.
    const wanted = conditionsOf({ ...rule, interface: null });
    if (judge(zoneChain(zone, services), new Map(), wanted).verdict === 'accept') return [];
    const missing = settings.filter((setting) => !has(zone, setting));
    const after = judge(zoneChain(withSettings(zone, missing), services), new Map(), wanted);
    const note =
      rule.service === 'igmp' && rule.family === 'ipv6' ? 'firewalld knows no MLD: all ICMPv6 is let in' : undefined;
    if (after.verdict === 'accept') return [{ change: change(null, told(rule), note), settings: missing }];
    const blocked = `zone "${zone.name}" refuses ${propertyOf(rule)} before any rule could let it in: ${after.by}; remove that, or name another zone`;
    return [{ change: change(null, told(rule)), settings: [], blocked }];
  });
}

/** The same setting may serve both families. */
function once(settings: readonly Setting[]): readonly Setting[] {
  return [...new Map(settings.map((setting) => [`${setting.option} ${setting.value}`, setting])).values()];
}

function planLayer(wish: Wish, names: readonly string[], layer: Layer, seen: Observations) {
  const zones = parseZones(said(seen, zonesOf(layer)));
  const services = servicesOf(seen);
  const [does, undoes] = wish.state === 'present' ? (['add', 'remove'] as const) : (['remove', 'add'] as const);
  const plans = names.map((name) => {
    const zone = zones.get(name);
    if (zone === undefined)
      throw new HostError(`firewalld has no ${layer === 'runtime' ? 'zone' : 'permanent zone'} "${name}"`, {
        hint: `it has ${[...zones.keys()].join(', ')}`,
      });
    const found = differences(wish, zone, layer, services);
    const settings = once(found.flatMap((each) => each.settings));
    const again = wish.state === 'present' ? joinedPorts(zone, settings) : [];
    return {
      changes: found.map(({ change }) => change),
      blocked: found.flatMap(({ blocked }) => (blocked === undefined ? [] : [blocked])),
      forward: commands(does, layer, name, settings),
      back: [...commands(undoes, layer, name, settings), ...commands('add', layer, name, again)],
    };
  });
  const run = (argv: Argv): Step => ({ do: 'run', argv });
  return {
    changes: plans.flatMap((plan) => plan.changes),
    blocked: plans.flatMap((plan) => plan.blocked),
    forward: plans.flatMap((plan) => plan.forward.map(run)),
    back: plans.toReversed().flatMap((plan) => plan.back.map(run)),
  };
}

function plan(wish: Wish, zone: string | null, seen: Observations): ResourcePlan {
  const running = parseZones(said(seen, zonesOf('runtime')));
  const names = zonesFor(wish, zone, running, defaultZone(seen));
  const runtime = planLayer(wish, names, 'runtime', seen);
  const persistent = planLayer(wish, names, 'persistent', seen);
  const blocked = [...new Set([...runtime.blocked, ...persistent.blocked])];
  return {
    changes: [...runtime.changes, ...persistent.changes],
    try: runtime.forward,
    undo: runtime.back,
    keep: persistent.forward,
    unkeep: persistent.back,
    ...(blocked.length > 0 && { blocked: blocked.join('; ') }),
  };
}

/** firewalld, where it owns the rules of a node. */
export const firewalldBackend: FirewallBackend = {
  name: 'firewalld',
  reads: () => READS,
  detect(seen) {
    try {
      const { code } = seen.run(zonesOf('runtime'));
      if (code === 0) return { isActive: true, reason: '"firewall-cmd" says that firewalld runs' };
      return { isActive: false, reason: code === 127 ? 'there is no "firewall-cmd"' : 'firewalld does not run' };
    } catch (error) {
      if (error instanceof HostError) return { isActive: false, reason: error.message };
      throw error;
    }
  },
  plan: (wish, seen) => plan(wish, null, seen),
};

function firewalldResource({ zone, ...params }: z.output<typeof Shape>): Resource {
  const wish = wishOf(params);
  const id = wishId('firewalld', wish);
  return {
    id: zone === undefined ? id : `firewalld[${[`zone ${zone}`, ...wish.sources].join(' ')}]`,
    reads: READS,
    wants: wishWants(wish),
    plan: (seen) => plan(wish, zone ?? null, seen),
  };
}

/**
 * What firewalld lets in. Its two layers are ours: the running configuration and the permanent one (firewall-cmd(1)). A wish is met
 * by whatever lets it in: a port, a protocol, a service, a rich rule, the target of the zone.
 */
export const firewalld = {
  type: 'firewalld',
  summary: "Multicast, corosync and IGMP let in by firewalld's zones, now and at the next boot",
  schema: FirewalldParams,
  example: `- name: Let multicast and corosync in
  firewalld:
    accept: [multicast, corosync, igmp]
`,
  resources: (params) => [firewalldResource(params)],
} satisfies ResourceType<typeof FirewalldParams>;
