import { readdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT, InputError } from '../core/errors.ts';
import { removeLab } from '../lab/down.ts';
import { enterArgv, runAttached } from '../lab/exec.ts';
import {
  DEFAULT_MAX_STARTUPS,
  LABS_DIR,
  type LabSpec,
  type LabTransport,
  labName,
  labPaths,
  MAX_NODES,
  type SwitchKind,
} from '../lab/layout.ts';
import { withLabLock } from '../lab/lock.ts';
import { requireFeatures, requireRoot } from '../lab/preflight.ts';
import { type LabStatus, labStatusOf } from '../lab/state.ts';
import { buildLab } from '../lab/up.ts';

/** Signals at which a lab that is being made is removed again. */
const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Where a command's words go: results and messages. The texts end with a newline. */
export interface LabIo {
  out(text: string): void;
  err(text: string): void;
}

/** Which lab; without a name, the environment variable MCASTCTL_LAB or "lab". */
export interface LabOptions {
  readonly name?: string | undefined;
}

/** What `mcastctl lab up` takes. */
export interface LabUpOptions extends LabOptions {
  /** 1 to 200; 3 by default. */
  readonly nodes?: number | undefined;
  /** "strict" by default. */
  readonly switch?: string | undefined;
  /** sshd's MaxStartups on the nodes; "500" by default. */
  readonly maxStartups?: string | undefined;
  /** Folders laid over the root of every node, the first on top. */
  readonly layers?: readonly string[] | undefined;
  /** Debian's corosync on every node: "udp" or "knet"; none by default. */
  readonly corosync?: string | undefined;
  /** Interrupts the making: everything made so far is removed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a lab; one of the same making that runs already is left alone, what is left of one that was killed is removed first.
 * @returns 0, or 130 where it was interrupted
 * @throws InputError where the options are wrong, a lab of another making runs, or this machine can't carry one; HostError
 * where a step failed
 */
export async function labUp(options: LabUpOptions, io: LabIo): Promise<number> {
  const spec = checkSpec(options);
  requireRoot();
  await requireFeatures(spec.layers, spec.corosync !== undefined);
  return withInterrupt(options.signal, (signal) =>
    withLabLock(spec.name, async () => {
      const found = labStatusOf(spec.name);
      if (found.state === 'up') return keepRunning(spec, found, io);
      if (found.state === 'broken') {
        io.err(`removing what is left of a lab "${spec.name}" that was killed\n`);
        await removeLab(spec.name);
      }
      return await build(spec, signal, io);
    }),
  );
}

async function build(spec: LabSpec, signal: AbortSignal, io: LabIo): Promise<number> {
  io.err(`starting ${countNodes(spec.nodes)} and a ${spec.switch} switch\n`);
  const start = performance.now();
  try {
    await buildLab(spec, signal);
  } catch (error) {
    await removeLab(spec.name);
    if (!signal.aborted) throw error;
    io.err(`interrupted: the lab "${spec.name}" is removed\n`);
    return EXIT.interrupted;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  io.err(`the lab "${spec.name}" is up after ${seconds} s\n`);
  io.out(`${labPaths(spec.name).inventory}\n`);
  return EXIT.ok;
}

function keepRunning(spec: LabSpec, found: LabStatus, io: LabIo): number {
  if (JSON.stringify(spec) !== JSON.stringify(found.spec)) {
    throw new InputError([
      {
        message: `the lab "${spec.name}" is up already, made otherwise: ${found.spec ? describe(found.spec) : ''}`,
        hint: `run "mcastctl lab down --name ${spec.name}" first, or choose another --name`,
      },
    ]);
  }
  io.err(`the lab "${spec.name}" is up already\n`);
  io.out(`${labPaths(spec.name).inventory}\n`);
  return EXIT.ok;
}

/**
 * Removes a lab and all that is left of it.
 * @returns 0, also where there was none
 */
export async function labDown(options: LabOptions, io: LabIo): Promise<number> {
  const name = labName(options.name);
  requireRoot();
  const existed = await withLabLock(name, () => removeLab(name));
  io.err(existed ? `the lab "${name}" is down\n` : `there is no lab "${name}"\n`);
  return EXIT.ok;
}

/**
 * Shows a lab and its nodes.
 * @returns 0 where it is up, 1 where not
 */
export async function labStatus(options: LabOptions, io: LabIo): Promise<number> {
  const name = labName(options.name);
  requireRoot();
  const lab = labStatusOf(name);
  if (lab.spec === null || lab.state === 'absent') {
    io.out(
      lab.state === 'absent'
        ? `there is no lab "${name}"\n`
        : `the lab "${name}" is broken: "mcastctl lab up" cleans it\n`,
    );
  } else {
    io.out(`the lab "${name}" is ${lab.state}: ${describe(lab.spec)}\n`);
    const width = lab.nodes.at(-1)?.name.length ?? 0;
    for (const { name: node, address, pid } of lab.nodes) {
      io.out(`  ${node.padEnd(width)}  ${address.padEnd(13)}  ${pid === null ? 'down' : 'up'}\n`);
    }
    io.out(`  inventory ${labPaths(name).inventory}\n`);
  }
  const others = otherLabs(name);
  if (others.length > 0) io.out(`other labs: ${others.join(', ')}\n`);
  return lab.state === 'up' ? EXIT.ok : EXIT.failed;
}

/**
 * Runs a command in a node, in "ctl" (the controller's network) or in "switch"; without one a shell.
 * @returns the command's exit code
 * @throws InputError where the lab is not up or has no such part
 */
export async function labExec(options: LabOptions, part: string, argv: readonly string[]): Promise<number> {
  const name = labName(options.name);
  requireRoot();
  return await runAttached(enterArgv(labStatusOf(name), part, argv));
}

/**
 * Prints the path of the lab's inventory, to be used in `mcastctl apply "$(mcastctl lab inventory)"`.
 * @throws InputError where the lab is not up
 */
export async function labInventory(options: LabOptions, io: LabIo): Promise<number> {
  const name = labName(options.name);
  const { inventory } = labPaths(name);
  if (!statSync(inventory, { throwIfNoEntry: false })) {
    const message = `the lab "${name}" is not up`;
    throw new InputError([{ message, hint: `start it with "mcastctl lab up --name ${name}"` }]);
  }
  io.out(`${inventory}\n`);
  return EXIT.ok;
}

function checkSpec(options: LabUpOptions): LabSpec {
  const name = labName(options.name);
  const nodes = options.nodes ?? 3;
  const kind = options.switch ?? 'strict';
  const maxStartups = options.maxStartups ?? DEFAULT_MAX_STARTUPS;
  const messages: string[] = [];
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > MAX_NODES) {
    messages.push(`--nodes is "${nodes}": it takes a number from 1 to ${MAX_NODES}`);
  }
  if (!isSwitchKind(kind)) messages.push(`--switch is "${kind}": it takes "strict" or "flood"`);
  if (!/^[1-9][0-9]{0,5}(:[0-9]{1,3}:[1-9][0-9]{0,5})?$/.test(maxStartups)) {
    messages.push(`--max-startups is "${maxStartups}": it takes a number or "start:rate:full", as sshd_config(5) says`);
  }
  const { corosync } = options;
  if (corosync !== undefined && !isTransport(corosync)) {
    messages.push(`--corosync is "${corosync}": it takes "udp" or "knet"`);
  }
  if (messages.length > 0 || !isSwitchKind(kind)) throw new InputError(messages.map((message) => ({ message })));
  const layers = (options.layers ?? []).map((layer) => resolve(layer));
  return { name, nodes, switch: kind, maxStartups, layers, ...(isTransport(corosync) && { corosync }) };
}

function isSwitchKind(value: string): value is SwitchKind {
  return value === 'strict' || value === 'flood';
}

function isTransport(value: string | undefined): value is LabTransport {
  return value === 'udp' || value === 'knet';
}

function countNodes(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`;
}

function describe(spec: LabSpec): string {
  const layers = spec.layers.length === 0 ? '' : `, layers ${spec.layers.join(', ')}`;
  const corosync = spec.corosync === undefined ? '' : `, corosync over ${spec.corosync}`;
  return `${countNodes(spec.nodes)}, ${spec.switch} switch, MaxStartups ${spec.maxStartups}${layers}${corosync}`;
}

function otherLabs(name: string): string[] {
  try {
    const entries = readdirSync(LABS_DIR, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && entry.name !== name).map((entry) => entry.name);
  } catch {
    return [];
  }
}

async function withInterrupt(
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  for (const name of ENDINGS) process.on(name, interrupt);
  try {
    return await work(outer ? AbortSignal.any([outer, controller.signal]) : controller.signal);
  } finally {
    for (const name of ENDINGS) process.off(name, interrupt);
  }
}
