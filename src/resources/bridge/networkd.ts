import type { Change, Observations, Read, Step } from '../../core/resource.ts';
import { type NetworkdFile, networkdBoolean, withAssignment } from '../../formats/networkd.ts';
import type { PersistentPlan } from '../interfaces/files.ts';
import { overriddenBy, readUnits, settingOf, unitEdit, unitReads, unitTarget } from '../networkd/units.ts';
import { type Property, shown, type Wanted } from './properties.ts';

/** What must be read to know which .netdev file makes a bridge. */
export const NETWORKD_READS: readonly Read[] = unitReads('netdev');

/**
 * Compares the .netdev file of a bridge with what is wanted. Source: systemd.netdev(5).
 * @returns undefined where no .netdev file makes the bridge
 */
export function planNetworkd(
  bridge: string,
  wanted: readonly Wanted[],
  seen: Observations,
): PersistentPlan | undefined {
  const found = readUnits(seen, 'netdev').filter(
    (netdev) =>
      settingOf(netdev, 'NetDev', 'Kind')?.value === 'bridge' && settingOf(netdev, 'NetDev', 'Name')?.value === bridge,
  );
  // systemd makes the device from the first file by name; it skips a second one for the same name.
  const netdev = found.toSorted((a, b) => (a.name < b.name ? -1 : 1))[0];
  if (netdev === undefined) return undefined;
  const changes: Change[] = [];
  const unknown: string[] = [];
  const stuck = new Set<string>();
  const edits = new Map<string, ((file: NetworkdFile) => NetworkdFile)[]>();
  for (const { property, value } of wanted) {
    const current = property.networkd === undefined ? undefined : settingOf(netdev, 'Bridge', property.networkd);
    const observed = current === undefined ? null : readValue(property, current.value);
    if (observed === value) continue;
    const target = unitTarget(netdev, current?.path);
    changes.push({
      layer: 'persistent',
      property: property.name,
      from: observed === null ? (current?.value ?? null) : shown(property, observed),
      to: shown(property, value),
      file: current?.path ?? target,
      ...(current !== undefined && { line: current.line }),
    });
    const key = property.networkd;
    if (key === undefined) {
      unknown.push(property.name);
      continue;
    }
    const overridden = overriddenBy(target, current?.path);
    if (overridden !== undefined) stuck.add(overridden);
    const text = property.kind === 'flag' ? (value === 0 ? 'no' : 'yes') : String(value);
    edits.set(target, [...(edits.get(target) ?? []), (file) => withAssignment(file, 'Bridge', key, text)]);
  }
  const keep = [...edits].map(([path, all]): Step => ({ do: 'edit', path, edit: unitEdit(all) }));
  if (unknown.length > 0) {
    stuck.add(
      `systemd-networkd makes "${bridge}" (${netdev.main.path}) and has no setting for ${unknown.join(', ')}: leave it out, or let ifupdown2 make the bridge`,
    );
  }
  return { changes, keep, blocked: stuck.size > 0 ? [...stuck].join('; ') : undefined };
}

function readValue(property: Property, text: string): number | null {
  if (property.kind !== 'flag') return /^\d{1,9}$/.test(text) ? Number(text) : null;
  const value = networkdBoolean(text);
  return value === undefined ? null : Number(value);
}
