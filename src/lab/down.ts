import { existsSync, rmSync } from 'node:fs';
import { HostError } from '../core/errors.ts';
import { labPaths, NETNS_DIR } from './layout.ts';
import { endProcesses, labNamespaces } from './processes.ts';
import { mustRun, run } from './run.ts';

/**
 * Removes everything of a lab, whole or broken: processes, namespaces, mounts, files. The caller holds the lock.
 * @returns whether there was anything
 * @throws HostError where something can't be removed
 */
export async function removeLab(name: string): Promise<boolean> {
  const { dir, lock } = labPaths(name);
  const spaces = labNamespaces(name);
  const existed = spaces.length > 0 || existsSync(dir);
  const stuck = await endProcesses(name);
  if (stuck.length > 0) {
    throw new HostError(`the processes ${stuck.join(', ')} of the lab "${name}" can't be ended`, {
      hint: `look at them with "ps -fp ${stuck.join(',')}" and run "mcastctl lab down" again`,
    });
  }
  await deleteNamespaces(spaces);
  await unmount(dir);
  rmSync(dir, { recursive: true, force: true });
  rmSync(lock, { force: true });
  return existed;
}

async function deleteNamespaces(spaces: readonly string[]): Promise<void> {
  if (spaces.length === 0) return;
  const batch = spaces.map((space) => `netns del ${space}\n`).join('');
  const result = await run(['ip', '-force', '-batch', '-'], { input: batch });
  // A name whose making was cut short is a plain file, which "ip netns del" does not take.
  for (const space of spaces) rmSync(`${NETNS_DIR}/${space}`, { force: true });
  if (result.signal !== null) throw new HostError('"ip netns del" was killed');
}

async function unmount(dir: string): Promise<void> {
  // A "lab up" that was cut short and another one may have mounted twice.
  for (let round = 0; round < 8 && (await run(['mountpoint', '-q', dir])).code === 0; round++) {
    await mustRun(['umount', '--lazy', dir]);
  }
}
