import type * as z from 'zod';
import { InputError } from '../../core/errors.ts';
import type { ResourceType } from '../../core/resource.ts';
import { formatSource, type SourceRef } from '../../core/source.ts';
import { didYouMean } from '../../core/suggest.ts';
import type { CompiledPlay, HostTask, ProbeParams } from '../../core/task.ts';
import { FaultList } from '../faults.ts';
import { schemaFaults } from '../schema-faults.ts';
import { hasTemplate, layerOf, plainLayer, Scope, singleLayer, type VarLayer } from '../vars.ts';
import type { Vault } from '../vault/vault.ts';
import { faultOf, type YamlMap, type YamlNode } from '../yaml.ts';
import { compileTask, type HostContext } from './compile-task.ts';
import { addConflicts } from './conflicts.ts';
import { readPlaybook } from './load.ts';
import type { Play, Playbook, PlayTask } from './model.ts';
import { ProbeSchema, toProbeParams } from './probe.ts';
import { ResourceCache } from './resource-cache.ts';
import { cutBatches } from './serial.ts';
import { SourceReader } from './sources.ts';
import { isSelected, type TagFilter, unknownTags } from './tags.ts';

/** What a playbook needs of an inventory. */
export interface HostVars {
  /** All hosts, in inventory order. */
  readonly hosts: readonly string[];
  /** Variables of a host, magic ones such as inventory_hostname included. */
  vars(host: string): Readonly<Record<string, unknown>>;
  /** The hosts that a pattern names, in inventory order. @throws InputError where the pattern is wrong */
  select(pattern: string, options?: { readonly limit?: string }): readonly string[];
  /** Where a variable of a host is written, where that is known. */
  sourceOf?(host: string, name: string): SourceRef | undefined;
}

export interface CompileOptions extends TagFilter {
  readonly registry: ReadonlyMap<string, ResourceType>;
  /** Host pattern of `--limit`. */
  readonly limit?: string | undefined;
  /** Variables of `--extra-vars`: they outrank all others. */
  readonly extraVars?: Readonly<Record<string, unknown>> | undefined;
  /** Folder of the templates that ship: where those are looked for that are not beside the playbook. */
  readonly templates?: string | undefined;
  /** Opens encrypted files that tasks name and vars_files, and encrypted values when they are used. */
  readonly vault?: Vault | undefined;
}

/**
 * Makes a playbook concrete: templates evaluated for each host, parameters checked, resources built, every `when` that
 * mentions no facts decided.
 * @throws InputError with all faults of all plays and hosts; the same fault of several hosts is one that names them
 */
export function compilePlaybook(
  playbook: Playbook,
  inventory: HostVars,
  options: CompileOptions,
): readonly CompiledPlay[] {
  const faults = new FaultList();
  const plays = compileInto(playbook, inventory, options, faults);
  faults.throwAny();
  return plays;
}

/**
 * `loadPlaybook` and `compilePlaybook` in one: the faults of both are reported together.
 * @param path the playbook's file
 * @throws InputError with all faults
 */
export function compilePlaybookFile(
  path: string,
  inventory: HostVars,
  options: CompileOptions,
): readonly CompiledPlay[] {
  const { playbook, faults: found } = readPlaybook(path, options.registry, options.vault);
  const faults = new FaultList();
  faults.addAll(found);
  const plays = compileInto(playbook, inventory, options, faults);
  faults.throwAny();
  return plays;
}

function compileInto(
  playbook: Playbook,
  inventory: HostVars,
  options: CompileOptions,
  faults: FaultList,
): readonly CompiledPlay[] {
  const texts = new Map(
    playbook.plays.flatMap(({ tasks, handlers }) =>
      [...tasks, ...handlers].map(({ source, params }) => [source.file, params.doc.text] as const),
    ),
  );
  const compiler: Compiler = {
    inventory,
    options,
    faults,
    resources: new ResourceCache(),
    sources: new SourceReader(options.templates ?? null, options.vault),
    hostvars: hostvarsLayer(inventory),
  };
  const known = new Set(playbook.plays.flatMap((play) => play.tasks.flatMap((task) => [...task.tags])));
  for (const tag of unknownTags(options, known)) {
    // A check that compares nothing would find no drift.
    faults.add({ message: `--tags: no task has the tag "${tag}"`, hint: didYouMean(tag, [...known]) });
  }
  const plays = playbook.plays.map((play) => compilePlay(play, compiler));
  addConflicts(plays, (task) => texts.get(task.source.file), faults);
  return plays;
}

/** The variables of every host under its name, as Ansible's `hostvars`: evaluated with that host's own, when they are used. */
function hostvarsLayer(inventory: HostVars): VarLayer {
  const all: object = Object.create(null);
  for (const host of inventory.hosts) {
    let known: object | null = null;
    const get = () => {
      known ??= ownVars(inventory, host);
      return known;
    };
    Object.defineProperty(all, host, { enumerable: true, get });
  }
  return singleLayer('hostvars', all);
}

function ownVars(inventory: HostVars, host: string): object {
  const scope = new Scope([inventoryLayer(inventory, host)]);
  const vars: object = Object.create(null);
  for (const name of scope.names()) Object.defineProperty(vars, name, { enumerable: true, get: () => scope.get(name) });
  return vars;
}

interface Compiler {
  readonly inventory: HostVars;
  readonly options: CompileOptions;
  readonly faults: FaultList;
  readonly resources: ResourceCache;
  readonly sources: SourceReader;
  readonly hostvars: VarLayer;
}

function compilePlay(play: Play, compiler: Compiler): CompiledPlay {
  const hosts = selectHosts(play, compiler);
  const selected = play.tasks.filter((task) => isSelected(task.tags, compiler.options));
  const contexts = hosts.map((host) => hostContext(host, play, compiler));
  const compileAll = (tasks: readonly PlayTask[]): ReadonlyMap<string, readonly HostTask[]> =>
    new Map(contexts.map((context) => [context.host, tasks.map((task) => compileTask(task, context))]));
  return {
    name: play.name,
    source: play.source,
    hosts,
    batches: cutBatches(hosts, play.serial),
    ...compileProbe(play.probe, contexts, compiler.faults),
    tasks: compileAll(selected),
    handlers: compileAll(play.handlers),
    needsFacts: [...selected, ...play.handlers].some(usesFacts),
  };
}

function usesFacts(task: PlayTask): boolean {
  return task.conditions.some(({ expression }) => typeof expression === 'object' && expression.usesFacts);
}

function hostContext(host: string, play: Play, compiler: Compiler): HostContext {
  const { inventory, options, resources, sources, faults } = compiler;
  const high: VarLayer[] = options.extraVars ? [plainLayer(options.extraVars, 'extra variable')] : [];
  const low = [...play.vars.map(layerOf).reverse(), inventoryLayer(inventory, host), compiler.hostvars];
  return { host, scope: new Scope(low, high), resources, sources, faults };
}

function inventoryLayer(inventory: HostVars, host: string): VarLayer {
  const layer = plainLayer(inventory.vars(host), 'inventory variable');
  return {
    names: layer.names,
    get: (name) => {
      const variable = layer.get(name);
      const origin = () => {
        const source = inventory.sourceOf?.(host, name);
        return source ? `inventory variable "${name}" at ${formatSource(source)}` : `inventory variable "${name}"`;
      };
      return variable && { ...variable, origin };
    },
  };
}

function selectHosts(play: Play, { inventory, options, faults }: Compiler): readonly string[] {
  const { pattern, hosts: node } = play;
  const all = placingFaults(node, faults, () => inventory.select(pattern));
  if (all === undefined) return [];
  if (all.length === 0 && !isEmptyGroup(pattern, inventory)) {
    const known = [...groupNames(inventory), ...inventory.hosts];
    faults.add(faultOf(node, `"${pattern}" matches no host of the inventory`, didYouMean(pattern, known)));
  }
  const { limit } = options;
  if (limit === undefined) return all;
  return faults.collect(() => inventory.select(pattern, { limit })) ?? [];
}

/** Runs something whose faults have no place of their own: they belong to `node`. */
function placingFaults<Value>(node: YamlNode, faults: FaultList, run: () => Value): Value | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    for (const fault of error.faults) faults.add(fault.source ? fault : faultOf(node, fault.message, fault.hint));
    return undefined;
  }
}

function groupNames(inventory: HostVars): readonly string[] {
  const [host] = inventory.hosts;
  const groups: unknown = host === undefined ? undefined : inventory.vars(host).groups;
  return typeof groups === 'object' && groups !== null ? Object.keys(groups) : ['all'];
}

/** A group that exists but has no hosts is no mistake of the playbook. */
function isEmptyGroup(pattern: string, inventory: HostVars): boolean {
  return inventory.hosts.length === 0 || groupNames(inventory).includes(pattern);
}

type ProbePart = Pick<CompiledPlay, 'probe' | 'probeInterfaces'>;

/** The probe of a play. Its interface may differ between hosts, nothing else may. */
function compileProbe(node: YamlMap | null, contexts: readonly HostContext[], faults: FaultList): ProbePart {
  const probeInterfaces = new Map<string, string>();
  const defaults = toProbeParams({});
  if (node === null) return { probe: defaults, probeInterfaces };
  let shared: ProbeParams | null = hasTemplate(node) ? null : literalProbe(node);
  for (const { host, scope } of contexts) {
    const given = faults.collect(() => readProbe(node, scope), host);
    if (given === undefined) continue;
    const params = toProbeParams(given);
    if (given.interface !== undefined) probeInterfaces.set(host, given.interface);
    shared ??= params;
    if (JSON.stringify(params) !== JSON.stringify(shared)) {
      const hint = 'only "interface" may differ between the hosts of a play';
      faults.add(faultOf(node, '"probe" is not the same on all hosts of the play', hint), host);
    }
  }
  return { probe: shared ?? defaults, probeInterfaces };
}

function literalProbe(node: YamlMap): ProbeParams | null {
  const result = ProbeSchema.safeParse(new Scope([]).render(node));
  return result.success ? toProbeParams(result.data) : null;
}

function readProbe(node: YamlMap, scope: Scope): z.output<typeof ProbeSchema> {
  const value = scope.render(node);
  const result = ProbeSchema.safeParse(value);
  if (result.success) return result.data;
  throw new InputError(schemaFaults(result.error.issues, { schema: ProbeSchema, node, value, subject: '"probe"' }));
}
