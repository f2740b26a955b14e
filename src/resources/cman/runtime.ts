import type { Argv, Change, Observations, Read } from '../../core/resource.ts';
import type { Wanted } from './params.ts';

const STATUS: Argv = ['cman_tool', 'status'];
export const RUNTIME_READS: readonly Read[] = [{ read: 'run', argv: STATUS }];

/** The lines of `cman_tool status` by their names, or null where cman does not run. */
export function runningFields(seen: Observations): ReadonlyMap<string, string> | null {
  const { code, stdout } = seen.run(STATUS);
  if (code !== 0) return null;
  const lines = [...stdout.matchAll(/^(?<name>[^:\n]+):[ \t]*(?<value>.*?)[ \t]*$/gm)];
  return new Map(lines.map(({ groups }) => [groups?.name ?? '', groups?.value ?? '']));
}

/**
 * What the running cman does not have yet. It shows no more than its config_version, its group and the votes; the first tells whether it
 * has read the file.
 * @param version of the file as it will be
 */
export function runningChanges(
  fields: ReadonlyMap<string, string>,
  version: number,
  wanted: readonly Wanted[],
  note: string,
): readonly Change[] {
  const change = (property: string, from: unknown, to: unknown): Change => ({
    layer: 'runtime',
    property,
    from,
    to,
    after: 'reboot',
    note,
  });
  const running = Number(fields.get('Config Version') ?? Number.NaN);
  const changes = Number.isNaN(running) || running === version ? [] : [change('config_version', running, version)];
  const votes = wanted.find(({ property }) => property.name === 'expected_votes')?.value;
  const expected = fields.get('Expected votes');
  if (votes != null && expected !== undefined && expected !== votes)
    changes.push(change('expected_votes', Number(expected), Number(votes)));
  const group = wanted.find(({ property }) => property.name === 'multicast')?.value;
  const groups = fields.get('Multicast addresses')?.split(/\s+/);
  if (group != null && groups !== undefined && !groups.includes(group))
    changes.push(change('multicast', groups.join(' '), group));
  return changes;
}
