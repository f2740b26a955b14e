import * as z from 'zod';
import type { Change, Read, Resource, ResourcePlan, ResourceType } from '../core/resource.ts';
import { deviceName } from './device-name.ts';
import { forcePath, inForceReads, planInForce } from './igmp/in-force.ts';
import { keyFault } from './sysctl/params.ts';
import { exactly, planSysctl, sysctlReads } from './sysctl/setting.ts';

const version = <const Versions extends readonly [number, ...number[]]>(what: string, versions: Versions) =>
  z
    .literal(['auto', ...versions], { error: `must be auto or one of ${versions.join(', ')}` })
    .optional()
    .describe(`${what}: ${versions.join(', ')}, or auto to follow the querier`);

const IgmpParams = z
  .strictObject({
    interface: deviceName('a device', 'vmbr0')
      .optional()
      .describe('The device to which the versions apply; all: every device; default: devices that appear later'),
    version: version('IGMP version that the host speaks there, as `force_igmp_version`', [1, 2, 3]),
    mld_version: version('MLD version that the host speaks there, as `force_mld_version`', [1, 2]),
    max_memberships: count('Groups that one socket may join, `net.ipv4.igmp_max_memberships`', 1, 2 ** 31 - 1),
    qrv: count('Robustness: how often reports are repeated, `net.ipv4.igmp_qrv`', 1, 7),
  })
  .superRefine((params, context) => {
    if (context.issues.length > 0) return;
    const fault = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const names = ['version', 'mld_version'] as const;
    const hasVersion = names.some((name) => params[name] !== undefined);
    if (params.interface === undefined) {
      for (const name of names) {
        if (params[name] !== undefined) fault([name], 'needs to know where: add interface, a device or "all"');
      }
    } else if (!hasVersion) fault(['interface'], 'names a device, but nothing for it: add version or mld_version');
    else {
      const said = keyFault(forcePath(4, params.interface));
      if (said !== null) fault(['interface'], `is no name that a sysctl.d file can hold: ${said.message}`);
    }
    if (
      params.interface === undefined &&
      !hasVersion &&
      params.max_memberships === undefined &&
      params.qrv === undefined
    )
      fault([], 'names no setting: add at least one, such as max_memberships: 64');
  });

type IgmpParams = z.output<typeof IgmpParams>;

function count(what: string, min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .int({ error })
    .min(min, error)
    .max(max, error)
    .optional()
    .describe(`${what}: a whole number, ${min} to ${max}`);
}

/** One kernel setting behind a parameter. */
interface Setting {
  readonly property: string;
  /** Below /proc/sys. */
  readonly path: string;
  readonly value: number;
  /** The kernel's number as it is written in a playbook. */
  shown(value: unknown): unknown;
}

const asVersion = (value: unknown): unknown => (value === 0 ? 'auto' : value);
const asIs = (value: unknown): unknown => value;

function settingsOf(params: IgmpParams): { readonly device: readonly Setting[]; readonly host: readonly Setting[] } {
  const { interface: device = 'all', version: igmp, mld_version: mld } = params;
  const number = (value: number | 'auto'): number => (value === 'auto' ? 0 : value);
  const host: Setting[] = [];
  const own: Setting[] = [];
  if (igmp !== undefined)
    own.push({ property: 'version', path: forcePath(4, device), value: number(igmp), shown: asVersion });
  if (mld !== undefined)
    own.push({ property: 'mld_version', path: forcePath(6, device), value: number(mld), shown: asVersion });
  if (params.max_memberships !== undefined)
    host.push({
      property: 'max_memberships',
      path: 'net/ipv4/igmp_max_memberships',
      value: params.max_memberships,
      shown: asIs,
    });
  if (params.qrv !== undefined)
    host.push({ property: 'qrv', path: 'net/ipv4/igmp_qrv', value: params.qrv, shown: asIs });
  return { device: own, host };
}

function resource(name: string, settings: readonly Setting[], device: string | null): Resource {
  const igmp = device === null ? undefined : settings.find(({ property }) => property === 'version');
  const reads: readonly Read[] = [
    ...settings.flatMap(({ path }) => sysctlReads(path)),
    ...(igmp === undefined || device === null ? [] : inForceReads(device)),
  ];
  return {
    id: `igmp[${name}]`,
    reads,
    wants: Object.fromEntries(settings.map(({ property, value, shown }) => [property, shown(value)])),
    plan(seen) {
      const plans = settings.map(({ property, path, value, shown }): ResourcePlan => {
        const named = (change: Change): Change => ({
          ...change,
          property,
          from: shown(change.from),
          to: shown(change.to),
        });
        const plan = planSysctl(seen, path, exactly(String(value)));
        return { ...plan, changes: plan.changes.map(named) };
      });
      if (igmp !== undefined && device !== null) plans.push(planInForce(device, igmp.value, seen));
      return joined(plans);
    },
  };
}

function joined(plans: readonly ResourcePlan[]): ResourcePlan {
  const reasons = plans.flatMap(({ blocked }) => blocked ?? []);
  const notes = plans.flatMap(({ note }) => note ?? []);
  return {
    changes: plans.flatMap(({ changes }) => changes),
    try: plans.flatMap((plan) => plan.try),
    undo: plans.toReversed().flatMap(({ undo }) => undo),
    keep: plans.flatMap(({ keep }) => keep),
    ...(reasons.length > 0 && { blocked: reasons.join('; ') }),
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
}

/**
 * How the host itself speaks IGMP and MLD. Runtime: /proc/sys, and for IGMP the version in /proc/net/igmp that is really in force.
 * Persistent: what systemd-sysctl(8) sets at boot, as for `sysctl`.
 */
export const igmp = {
  type: 'igmp',
  summary: 'IGMP and MLD version that a host speaks, and its limits, now and at the next boot',
  schema: IgmpParams,
  example: `- name: IGMPv3 on the cluster bridge, room for many groups
  igmp: { interface: vmbr0, version: 3, mld_version: 2, max_memberships: 64 }
`,
  resources(params) {
    const { device, host } = settingsOf(params);
    const { interface: name = 'all' } = params;
    return [
      ...(device.length > 0 ? [resource(name, device, name)] : []),
      ...(host.length > 0 ? [resource('host', host, null)] : []),
    ];
  },
} satisfies ResourceType<typeof IgmpParams>;
