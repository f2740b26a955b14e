import { existsSync } from 'node:fs';
import { labDown, labUp } from '../../src/commands/lab.ts';
import type { RunResult } from '../../src/core/resource.ts';
import { enterArgv } from '../../src/lab/exec.ts';
import { labPaths, type SwitchKind } from '../../src/lab/layout.ts';
import { run } from '../../src/lab/run.ts';
import { labStatusOf } from '../../src/lab/state.ts';

/** A lab that one test file has for itself. */
export interface Lab {
  readonly name: string;
  /** Its folder: keys, known_hosts, ssh_config, and below nodes/NAME/upper what a node has written. */
  readonly dir: string;
  /** Path of its inventory. */
  readonly inventory: string;
  /** Runs a command in a node, in "ctl" or in "switch"; any exit code is a result. */
  exec(part: string, argv: readonly string[], options?: { input?: string }): Promise<RunResult>;
  down(): Promise<void>;
}

/** What ifupdown2 is unpacked to by scripts/setup.sh: a layer for nodes that shall have it. */
export const IFUPDOWN2_LAYER = new URL('../../.cache/layers/ifupdown2', import.meta.url).pathname;

/** What firewalld is unpacked to: a layer for nodes that shall have it. */
export const FIREWALLD_LAYER = new URL('../../.cache/layers/firewalld', import.meta.url).pathname;

/** What iptables-persistent is unpacked to: a layer for nodes that shall have it. */
export const IPTABLES_PERSISTENT_LAYER = new URL('../../.cache/layers/iptables-persistent', import.meta.url).pathname;

/** What GRUB's grub-mkconfig and update-grub are unpacked to: a layer for nodes that shall have them. */
export const GRUB_LAYER = new URL('../../.cache/layers/grub', import.meta.url).pathname;

let count = 0;

/**
 * Starts a lab under a name that no other test uses, so that test files run side by side. What it says is collected and
 * shown where it fails.
 */
export async function startLab(
  options: {
    nodes?: number;
    switch?: SwitchKind;
    layers?: readonly string[];
    maxStartups?: string;
    corosync?: 'udp' | 'knet';
  } = {},
): Promise<Lab> {
  const name = `test-${process.pid}-${++count}-${Date.now().toString(36)}`;
  const said: string[] = [];
  const io = { out: () => undefined, err: (text: string) => void said.push(text) };
  for (const layer of [IFUPDOWN2_LAYER, FIREWALLD_LAYER, IPTABLES_PERSISTENT_LAYER, GRUB_LAYER]) {
    if (options.layers?.includes(layer) && !existsSync(layer))
      throw new Error(`the layer ${layer} is missing: run "npm run setup"`);
  }
  const code = await labUp({ name, ...options }, io);
  if (code !== 0) throw new Error(`the lab did not start, exit ${code}: ${said.join('')}`);
  return {
    name,
    dir: labPaths(name).dir,
    inventory: labPaths(name).inventory,
    exec: (part, argv, input) => run(enterArgv(labStatusOf(name), part, argv), input),
    down: async () => void (await labDown({ name }, io)),
  };
}
