import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type { Change, Impact, Observations, Resource, ResourcePlan, ResourceType } from '../core/resource.ts';
import { aptReads, openApt } from './package/apt.ts';
import type { PackageManager, WantedPackages } from './package/manager.ts';
import { openRpm, rpmReads } from './package/rpm.ts';

/** Packages whose new version starts the node's part of the cluster anew. */
const CLUSTER: readonly string[] = ['corosync', 'pve-cluster', 'pacemaker', 'cman'];

const NAME = '"name" is a package, or a list of them';
/** Debian policy 5.6.1, and what rpm allows besides; not an end that means something to apt-get(8). */
const Name = z.string({ error: NAME }).regex(/^[A-Za-z0-9][A-Za-z0-9+._-]*(?<!-)$/, {
  error: ({ input }) => `${JSON.stringify(input)} is no name of a package: a version goes into "version"`,
});

const PackageParams = z
  .strictObject({
    name: z
      .union([Name, z.array(Name).min(1, { error: NAME })])
      .transform((names) => [names].flat())
      .refine((names) => new Set(names).size === names.length, { error: 'a package stands twice in "name"' })
      .describe('Package, or a list of them that are installed in one go'),
    state: z
      .enum(['present', 'absent', 'latest'])
      .default('present')
      .describe(
        '`present` (the default), `absent` (refused where other packages need it), or `latest`: the newest that the lists of the node have, with apt only',
      ),
    version: z
      .string({ error: '"version" is text, in quotes' })
      .regex(/^[A-Za-z0-9][A-Za-z0-9.+~:^_-]*$/, {
        error: ({ input }) => `${JSON.stringify(input)} is no version of a package`,
      })
      .optional()
      .describe(
        'The very version, as `dpkg-query -W` or `rpm -q` print it (VERSION-RELEASE); an older one replaces a newer one',
      ),
    update_cache: z
      .boolean()
      .default(false)
      .describe(
        '`true`: the lists of packages are fetched before something is installed (`apt-get update`); never where nothing is missing',
      ),
    seconds: z.int().min(10).max(3600).default(600).describe('How long a step may take, 10 to 3600 s, 600 by default'),
  })
  .superRefine(({ name, state, version }, context) => {
    const fault = (message: string) => context.addIssue({ code: 'custom', path: ['version'], message });
    if (version !== undefined && state !== 'present') fault(`"version" goes with state "present", not "${state}"`);
    if (version !== undefined && name.length > 1)
      fault('a "version" is that of one package: make it a task of its own');
  });

/** What the package is and shall be; null: as desired. */
function differenceOf(manager: PackageManager, name: string, wanted: WantedPackages) {
  const now = manager.installed(name);
  if (wanted.state === 'absent') return now === null ? null : { now, to: null };
  const to = wanted.version ?? (wanted.state === 'latest' ? manager.candidate(name) : null);
  if (wanted.state === 'latest' && to === null)
    throw new HostError(`the lists of the node have no package "${name}"`, {
      hint: 'fetch them ("apt-get update"), or add its source',
    });
  return now !== null && (to === null || now === to) ? null : { now, to: to ?? 'installed' };
}

function managerOf(seen: Observations, wanted: WantedPackages): PackageManager {
  const manager = openApt(seen, wanted) ?? openRpm(seen, wanted);
  if (manager === null)
    throw new HostError('the node has neither dpkg nor rpm', { hint: 'install what it needs by hand' });
  return manager;
}

function impactOf(name: string, now: string | null): Impact | null {
  if (now === null || !CLUSTER.includes(name)) return null;
  const text = `another version of ${name} starts it anew: the node leaves the cluster meanwhile; with "serial: 1" the others keep their quorum`;
  return { kind: 'restart-node', text };
}

/** Every package of a task that differs asks for the same steps, which are then done once. */
function plan(seen: Observations, own: string, wanted: WantedPackages): ResourcePlan {
  const manager = managerOf(seen, wanted);
  const mine = differenceOf(manager, own, wanted);
  if (mine === null) return { changes: [], try: [], undo: [], keep: [] };
  const all = wanted.names.flatMap((name) => {
    const difference = differenceOf(manager, name, wanted);
    return difference === null ? [] : [{ name, ...difference }];
  });
  const names = all.map(({ name }) => name);
  const change: Change = { layer: 'persistent', property: 'version', from: mine.now, to: mine.to };
  const impact = impactOf(own, mine.now);
  const versions = all.map(({ name, to }) => ({ name, version: to === 'installed' ? null : to }));
  return {
    changes: [change],
    try: [],
    undo: [],
    keep: wanted.state === 'absent' ? manager.remove(names) : manager.install(versions),
    unkeep: manager.restore(names),
    ...(impact !== null && { impact }),
  };
}

function packageResource(name: string, wanted: WantedPackages): Resource {
  const { state, version } = wanted;
  return {
    id: `package[${name}]`,
    reads: [...aptReads(wanted), ...rpmReads(wanted)],
    wants: {
      state: state === 'absent' ? 'absent' : 'present',
      ...(version !== undefined && { version }),
      ...(state === 'latest' && { version: 'latest' }),
    },
    plan: (seen) => plan(seen, name, wanted),
  };
}

/** Packages of dpkg and apt, or of rpm with dnf or yum. There is only the persistent layer. Comparing needs no source of packages. */
export const packages = {
  type: 'package',
  summary: 'Packages of Debian (apt) or RHEL (dnf, yum)',
  schema: PackageParams,
  example: `- name: Tools that look at multicast
  package: { name: [ethtool, tcpdump], state: present }
`,
  resources: ({ name, state, version, update_cache: updateCache, seconds }) =>
    name.map((each) => packageResource(each, { names: name, state, version, updateCache, seconds })),
} satisfies ResourceType<typeof PackageParams>;
