import type {
  Argv,
  Impact,
  Observations,
  Read,
  Resource,
  ResourcePlan,
  ResourceType,
  Stage,
  Step,
  Together,
  TogetherPlan,
} from '../core/resource.ts';
import { attributeAt } from '../formats/cluster-conf/edit.ts';
import { parseClusterConf } from '../formats/cluster-conf.ts';
import {
  type ConfFile,
  confFile,
  editConf,
  FILE_READS,
  fileChanges,
  nodeNames,
  SHARED,
  versionOf,
} from './cman/file.ts';
import { CmanParams, PROPERTIES, type Wanted, wantedOf } from './cman/params.ts';
import { RUNTIME_READS, runningChanges, runningFields } from './cman/runtime.ts';

/** The most nodes for which the Proxmox wiki recommends udpu ("Multicast notes"). */
const MOST_UDPU = 4;

const NODE_NAME: Argv = ['uname', '-n'];
const READS: readonly Read[] = [...FILE_READS, ...RUNTIME_READS, { read: 'run', argv: NODE_NAME }];

const HEAVIEST = ['restart-cluster', 'restart-node', 'reload'] as const;
const IMPACT_TEXTS: Readonly<Record<(typeof HEAVIEST)[number], string>> = {
  'restart-cluster': 'counts after a restart of cman on all nodes at once, which is left to you',
  'restart-node': 'counts after a restart of cman, node by node, which is left to you',
  reload: 'counts after "cman_tool version -r", which is left to you',
};

function impactOf(names: readonly string[]): Impact | undefined {
  const kinds = PROPERTIES.filter(({ name }) => names.includes(name)).map(({ impact }) => impact);
  const kind = HEAVIEST.find((each) => kinds.includes(each));
  if (kind === undefined) return undefined;
  const those = PROPERTIES.filter(({ name, impact }) => impact === kind && names.includes(name));
  return { kind, text: `${those.map(({ name }) => name).join(', ')} ${IMPACT_TEXTS[kind]}` };
}

/** What a person must know beside the changes. */
function fileNote(wanted: readonly Wanted[], file: ConfFile): string | undefined {
  const conf = parseClusterConf(file.text, file.path);
  if (!wanted.some(({ property, value }) => property.name === 'transport' && value === 'udpu')) return undefined;
  const nodes = nodeNames(conf).length;
  const group = attributeAt(conf, 'cluster/cman/multicast', 'addr');
  const isKept = group !== undefined && !wanted.some(({ property }) => property.name === 'multicast');
  const notes = [
    ...(nodes > MOST_UDPU
      ? [`udpu is not recommended for more than ${MOST_UDPU} nodes, and the cluster has ${nodes}`]
      : []),
    ...(isKept ? [`its multicast address ${group} is not used with udpu`] : []),
  ];
  return notes.length === 0 ? undefined : notes.join('; ');
}

/** Why the file can't be brought to what is wanted, or null. */
function faultOf(wanted: readonly Wanted[], file: ConfFile): string | null {
  const conf = parseClusterConf(file.text, file.path);
  const nodes = nodeNames(conf).length;
  const isTwo = wanted.some(({ property, value }) => property.name === 'two_node' && value === '1');
  if (isTwo && nodes !== 2) return `two_node is for a cluster of two nodes, but ${file.path} has ${nodes}`;
  return file.fault;
}

function writeStep(wanted: readonly Wanted[], file: ConfFile): Step {
  return {
    do: 'edit',
    path: file.path,
    edit: (text) => (text === null ? null : editConf(text, file.path, wanted)),
    ...(file.hasValidator && { validate: ['ccs_config_validate', '-f', '%s'] }),
  };
}

/** What someone else has written since is left alone. */
function putBack(wanted: readonly Wanted[], file: ConfFile): Step {
  const ours = editConf(file.text, file.path, wanted);
  return { do: 'edit', path: file.path, edit: (text) => (text === ours ? file.text : text) };
}

function plan(wanted: readonly Wanted[], seen: Observations): ResourcePlan {
  const file = confFile(seen);
  const note = fileNote(wanted, file);
  const persistent = fileChanges(file.text, file.path, wanted).map((change) =>
    change.property === 'transport' && note !== undefined ? { ...change, note } : change,
  );
  const version = versionOf(parseClusterConf(file.text, file.path)) + (persistent.length > 0 ? 1 : 0);
  const fields = runningFields(seen);
  const how =
    file.path === SHARED
      ? 'cman has not read the file yet: see "cman_tool version", then restart cman, or reboot, node by node'
      : 'cman has not read the file yet: run "cman_tool version -r -S" on one node, and restart cman where the plan says so';
  const runtime = fields === null ? [] : runningChanges(fields, version, wanted, how);
  const blocked = persistent.length > 0 ? faultOf(wanted, file) : null;
  const impact = impactOf(persistent.map(({ property }) => property));
  return {
    changes: [...runtime, ...persistent],
    try: [],
    undo: [],
    keep: persistent.length > 0 ? [writeStep(wanted, file)] : [],
    ...(impact && { impact }),
    ...(blocked !== null && { blocked }),
  };
}

const shortName = (name: string): string => name.trim().toLowerCase().split('.')[0] ?? '';

/** Why the nodes can't be changed together, or null: afterwards each must have the same file. */
function disagreement(
  wanted: readonly Wanted[],
  files: ReadonlyMap<string, ConfFile>,
  names: readonly string[],
): string | null {
  const all = [...files];
  const faults = all.flatMap(([host, file]) => {
    const fault = faultOf(wanted, file);
    return fault === null ? [] : [`${host}: ${fault}`];
  });
  if (faults.length > 0) return faults.join('; ');
  const [first] = all;
  if (first === undefined) return null;
  const target = ([, file]: (typeof all)[number]): string => editConf(file.text, file.path, wanted);
  const other = all.find((each) => target(each) !== target(first));
  if (other !== undefined) {
    const version = ([, file]: (typeof all)[number]): number => versionOf(parseClusterConf(file.text, file.path));
    return `cluster.conf of ${first[0]} (config_version ${version(first)}) and of ${other[0]} (${version(other)}) differ: copy the right one to all nodes first`;
  }
  if (all.every(([, file]) => file.path === SHARED)) return null;
  const missing = nodeNames(parseClusterConf(first[1].text, first[1].path)).filter(
    (name) => !names.some((each) => shortName(each) === shortName(name)),
  );
  if (missing.length === 0) return null;
  return `cluster.conf must change on all nodes at once, and ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not in this run: run it without "serial" and --limit`;
}

function together(wanted: readonly Wanted[]): Together {
  return {
    plan(seen): TogetherPlan {
      const files = new Map([...seen].map(([host, each]) => [host, confFile(each)]));
      const names = [...seen.values()].map((each) => each.run(NODE_NAME).stdout);
      const blocked = disagreement(wanted, files, names);
      const changed = [...files.values()].flatMap((file) => fileChanges(file.text, file.path, wanted));
      const impact = impactOf(changed.map(({ property }) => property));
      const stage = (name: string, step: (file: ConfFile) => Step): Stage => ({
        name,
        steps: new Map([...files].map(([host, file]) => [host, [step(file)]])),
      });
      return {
        stages: changed.length === 0 ? [] : [stage('write cluster.conf', (file) => writeStep(wanted, file))],
        ...(impact && { impact }),
        ...(blocked !== null && { blocked }),
        undo: () => ({
          stages: [stage('put cluster.conf back', (file) => putBack(wanted, file))],
        }),
      };
    },
  };
}

/**
 * The cluster.conf of cman: RHEL 6, and Proxmox VE 1.9 to 3. config_version is raised by one with every edit, the same on all nodes.
 * cman itself is never restarted: what has to be is told.
 */
export const cman = {
  type: 'cman',
  summary:
    'cluster.conf of cman (RHEL 6, Proxmox VE up to 3): transport, group, netmtu and timers, with its config_version',
  schema: CmanParams,
  example: `- name: Totem without multicast
  cman:
    transport: udpu
    netmtu: 1500
`,
  resources: (params): readonly Resource[] => {
    const wanted = wantedOf(params);
    return [
      {
        id: 'cman[cluster]',
        reads: READS,
        wants: Object.fromEntries(wanted.map(({ property, value }) => [property.name, value])),
        plan: (seen) => plan(wanted, seen),
        together: together(wanted),
      },
    ];
  },
} satisfies ResourceType<typeof CmanParams>;
