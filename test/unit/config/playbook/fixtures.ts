import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { z } from 'zod';
import { type CompileOptions, compilePlaybookFile, type HostVars } from '../../../../src/config/playbook/index.ts';
import { InputError } from '../../../../src/core/errors.ts';
import type { Resource, ResourceId, ResourceType } from '../../../../src/core/resource.ts';
import type { CompiledPlay, Facts, HostTask } from '../../../../src/core/task.ts';

/** A resource that only keeps its parameters, for tests to look at. */
export interface Kept extends Resource {
  readonly params: unknown;
}

function keep(id: ResourceId, params: unknown): Kept {
  const wants = typeof params === 'object' && params !== null ? { ...params } : { value: params };
  return { id, params, reads: [], wants, plan: () => ({ changes: [], try: [], undo: [], keep: [] }) };
}

const Bridge = z.strictObject({
  name: z.string().min(1).describe('Name of the bridge'),
  multicast_snooping: z.boolean().optional(),
  multicast_querier: z.boolean().optional(),
  multicast_router: z.union([z.enum(['off', 'auto', 'on']), z.int().min(0).max(2)]).optional(),
  timers: z.strictObject({ query_interval: z.int().min(1).optional(), last_member: z.int().optional() }).optional(),
});
const Sysctl = z.record(z.string().regex(/^[\w./-]+$/), z.union([z.string(), z.number()]));
const Ring = z.strictObject({ device: z.string(), rx: z.union([z.int().min(1), z.literal('max')]) });

const bridge: ResourceType<typeof Bridge> = {
  type: 'bridge',
  summary: 'A bridge',
  schema: Bridge,
  example: '',
  resources: (params) => [keep(`bridge[${params.name}]`, params)],
};
const sysctl: ResourceType<typeof Sysctl> = {
  type: 'sysctl',
  summary: 'Kernel settings',
  schema: Sysctl,
  example: '',
  resources: (params) => Object.entries(params).map(([key, value]) => keep(`sysctl[${key}]`, value)),
};
const ring: ResourceType<typeof Ring> = {
  type: 'ring',
  summary: 'Rings',
  schema: Ring,
  example: '',
  resources: (params) => [keep(`ring[${params.device}]`, params)],
};

const Text = z.strictObject({
  src: z.string().optional(),
  as_it_is: z.string().optional(),
  again: z.boolean().optional(),
});

/** A resource that keeps the texts of the files that it names. */
const text: ResourceType<typeof Text> = {
  type: 'text',
  summary: 'A text',
  schema: Text,
  example: '',
  sources: { src: 'template', as_it_is: 'file' },
  resources: (params, texts) => [
    {
      ...keep(`text[${params.src ?? params.as_it_is ?? ''}]`, texts),
      ...(params.again === true && { isAction: true }),
    },
  ],
};

export const registry: ReadonlyMap<string, ResourceType> = new Map(
  [bridge, sysctl, ring, text].map((type) => [type.type, type as unknown as ResourceType]),
);

/** An inventory whose only group is `all`; patterns are names, `a:b` or `all`. */
export function inventoryOf(hosts: Readonly<Record<string, Readonly<Record<string, unknown>>>>): HostVars {
  const names = Object.keys(hosts);
  const match = (pattern: string) => {
    const parts = pattern.split(':');
    return names.filter((name) => parts.includes('all') || parts.includes('cluster') || parts.includes(name));
  };
  return {
    hosts: names,
    vars: (host) => ({ inventory_hostname: host, groups: { all: names, cluster: names, spare: [] }, ...hosts[host] }),
    select: (pattern, options) => {
      const limited = match(options?.limit ?? 'all');
      return match(pattern).filter((host) => limited.includes(host));
    },
  };
}

export const facts: Facts = {
  nics: { eth0: { driver: 'virtio_net', mac: '02:00:00:00:00:01', mtu: 1500 } },
  hostname: 'pve1',
  kernel: '6.1.0',
  arch: 'x86_64',
  os: { id: 'debian', version: '12' },
};

const folder = mkdtempSync(join(tmpdir(), 'playbook-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file into a folder of this test run and gives its path. */
export function file(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

export const twoHosts = inventoryOf({
  pve1: { cluster_bridge: 'vmbr0', cluster_nic: 'eth0', index: 1 },
  pve2: { cluster_bridge: 'vmbr1', cluster_nic: 'eth0', index: 2 },
});

type Options = Partial<CompileOptions> & { readonly inventory?: HostVars };

/** Compiles a playbook text. */
export function compile(text: string, { inventory = twoHosts, ...options }: Options = {}): readonly CompiledPlay[] {
  return compilePlaybookFile(file('site.yml', text), inventory, { registry, ...options });
}

/** Compiles the tasks of one play on all hosts and gives those of one host. */
export function tasksOf(
  tasks: string,
  options: Options & { readonly host?: string; readonly play?: string } = {},
): readonly HostTask[] {
  const { host = 'pve1', play = '', ...rest } = options;
  const [compiled] = compile(`- hosts: all\n${indent(play, 2)}  tasks:\n${indent(tasks, 4)}`, rest);
  return compiled?.tasks.get(host) ?? [];
}

function indent(text: string, width: number): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => `${' '.repeat(width)}${line}\n`).join('');
}

/** What the resources of tasks were given. */
export function paramsOf(tasks: readonly HostTask[]): readonly unknown[] {
  return tasks.flatMap((task) =>
    task.items.flatMap((item) => item.resources.map((resource) => (resource as Kept).params)),
  );
}

/** The faults of something that must throw an InputError, as people see them, without the folder of the test run. */
export function faultsOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.message.replaceAll(`${folder}/`, '');
    throw error;
  }
  throw new Error('no InputError was thrown');
}

/** Place, message and hint of each fault. */
export function shortFaultsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.faults.map(({ source, message, hint }) => {
      const place = source ? `${source.line}:${source.column} ` : '';
      return `${place}${message}${hint === undefined ? '' : ` | ${hint}`}`.replaceAll(`${folder}/`, '');
    });
  }
  throw new Error('no InputError was thrown');
}
