import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompiledPlay } from '../../../src/core/task.ts';
import { GRUB_LAYER, IPTABLES_PERSISTENT_LAYER, type Lab, startLab } from '../../support/lab.ts';
import { AGAIN } from './gate.ts';
import { type FaultNode, faultNode } from './node.ts';
import { applyTo, checkOn, playsOf } from './runs.ts';
import { isSettled, type Shown, show } from './shown.ts';
import { SUBJECTS, type Subject } from './subjects.ts';

/** A step of a run: what the agent is asked. */
export interface RunStep {
  readonly step: string;
  readonly verb: string;
}

/** A subject whose two states are known, and the steps from one to the other. */
export interface Known {
  readonly subject: Subject;
  readonly old: Shown;
  readonly new: Shown;
  readonly steps: readonly RunStep[];
  plays(node: FaultNode): Promise<readonly CompiledPlay[]>;
}

/** Nodes of one lab, for cases that run side by side, each on a node of its own. */
export interface Bench {
  readonly lab: Lab;
  /** Waits for a node that is free, and gives it back afterwards. */
  withNode<T>(work: (node: FaultNode) => Promise<T>): Promise<T>;
  /** Learns both states and the steps of a subject by an undisturbed run; once for all. */
  know(subject: Subject): Promise<Known>;
  /** Makes the old state of a subject on a node. */
  reset(node: FaultNode, subject: Subject): Promise<void>;
  /** Path of the playbook of a subject. */
  playbook(subject: Subject): string;
  down(): Promise<void>;
}

export async function startBench(nodes: number): Promise<Bench> {
  const lab = await startLab({ nodes, switch: 'flood', layers: [GRUB_LAYER, IPTABLES_PERSISTENT_LAYER] });
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-faults-'));
  const free = Array.from({ length: nodes }, (_, index) => faultNode(lab.name, `pve${index + 1}`));
  const waiting: ((node: FaultNode) => void)[] = [];
  const playbooks = new Map<string, string>();
  for (const [index, { name, tasks }] of SUBJECTS.entries()) {
    const path = join(dir, `${index}.yml`);
    writeFileSync(path, `- hosts: cluster\n  tasks:\n${tasks.replace(/^(?=.)/gm, '    ')}`);
    playbooks.set(name, path);
  }
  const compiled = new Map<string, Promise<readonly CompiledPlay[]>>();
  const prepared = new Set<string>();
  const known = new Map<string, Promise<Known>>();

  async function withNode<T>(work: (node: FaultNode) => Promise<T>): Promise<T> {
    const node = free.pop() ?? (await new Promise<FaultNode>((resolve) => waiting.push(resolve)));
    try {
      return await work(node);
    } finally {
      const next = waiting.shift();
      if (next) next(node);
      else free.push(node);
    }
  }

  function plays(subject: Subject, node: FaultNode): Promise<readonly CompiledPlay[]> {
    const key = `${subject.name}\n${node.name}`;
    const found = compiled.get(key) ?? playsOf(lab.inventory, playbooks.get(subject.name) ?? '', node.name);
    compiled.set(key, found);
    return found;
  }

  async function learn(subject: Subject): Promise<Known> {
    return withNode(async (node) => {
      await reset(node, subject);
      const old = await show(node, subject);
      const steps: RunStep[] = [];
      const end = await applyTo(node, await plays(subject, node), {
        watch: ({ side, step, verb }) => {
          if (side === 'question' && !step.startsWith(AGAIN)) steps.push({ step, verb });
          return 'pass';
        },
      });
      if (end.exitCode !== 0) throw new Error(`${subject.name}: ${JSON.stringify(end)}`);
      const after = await show(node, subject);
      for (const layer of Object.keys(subject.layers)) {
        if (old[layer] === after[layer]) throw new Error(`${subject.name}: nothing changes in layer ${layer}`);
      }
      const checked = await checkOn(node, await plays(subject, node));
      if (!isSettled(subject, checked)) throw new Error(`${subject.name}: ${JSON.stringify(checked)}`);
      return { subject, old, new: after, steps, plays: (each) => plays(subject, each) };
    });
  }

  async function reset(node: FaultNode, subject: Subject): Promise<void> {
    const key = `${subject.name}\n${node.name}`;
    if (!prepared.has(key)) {
      await node.must(subject.prepare ?? 'true');
      prepared.add(key);
    }
    await node.must(subject.reset);
  }

  return {
    lab,
    withNode,
    reset,
    playbook: ({ name }) => playbooks.get(name) ?? '',
    know(subject) {
      const found = known.get(subject.name) ?? learn(subject);
      known.set(subject.name, found);
      return found;
    },
    async down() {
      await lab.down();
      rmSync(dir, { recursive: true });
    },
  };
}
