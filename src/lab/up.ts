import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '../core/errors.ts';
import { enterArgv } from './exec.ts';
import { writeFiles } from './files.ts';
import { type LabNode, type LabPaths, type LabSpec, labNodes, labPaths, netnsName, PREFIX_LENGTH } from './layout.ts';
import { mustRun, run, toolEnvironment } from './run.ts';
import { WAIT_SCRIPT } from './scripts.ts';
import { labStatusOf, specText } from './state.ts';
import { bridgeOptions, controllerBatch, MUTE_QUERIER, portsBatch, switchBatch } from './texts.ts';

/** Seconds that the nodes' sshds may take, all together. */
const READY_SECONDS = 60;
/** Seconds that the nodes' corosyncs may take to form a cluster. */
const COROSYNC_SECONDS = 60;

/**
 * Builds a lab where there is none and waits until every node answers. The caller holds the lock, and removes what is
 * there when this throws.
 * @throws HostError where a step fails; the signal's reason where it is aborted
 */
export async function buildLab(spec: LabSpec, signal?: AbortSignal): Promise<void> {
  const paths = labPaths(spec.name);
  const nodes = labNodes(spec.name, spec.nodes);
  await mkdir(paths.dir, { recursive: true, mode: 0o755 });
  await mustRun(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', paths.dir]);
  // Both come to their end before a failure of one is told: whoever cleans up then meets nothing that still grows.
  const parts = await Promise.allSettled([writeFiles(spec, paths, nodes), buildNetwork(spec, nodes)]);
  for (const part of parts) if (part.status === 'rejected') throw part.reason;
  signal?.throwIfAborted();
  await startNodes(spec, paths, nodes, signal);
  await writeFile(paths.state, specText(spec));
  if (spec.corosync !== undefined) await startCorosync(spec.name, signal);
}

/**
 * Starts corosync on all nodes and waits until they have quorum together.
 * @throws HostError where they don't find each other in time
 */
async function startCorosync(name: string, signal?: AbortSignal): Promise<void> {
  const lab = labStatusOf(name);
  const nodes = lab.nodes.map((node) => node.name);
  await Promise.all(nodes.map((node) => mustRun(enterArgv(lab, node, ['corosync']))));
  for (const end = Date.now() + COROSYNC_SECONDS * 1000; ; await sleep(200)) {
    signal?.throwIfAborted();
    const states = await Promise.all(nodes.map((node) => run(enterArgv(lab, node, ['corosync-quorumtool', '-s']))));
    const late = nodes.find((_, index) => {
      const said = states[index]?.stdout ?? '';
      return !/^Quorate: +Yes/m.test(said) || Number(/^Nodes: +(\d+)/m.exec(said)?.[1]) !== nodes.length;
    });
    if (late === undefined) return;
    if (Date.now() < end) continue;
    throw new HostError(`corosync on the lab's node "${late}" does not see all others within ${COROSYNC_SECONDS} s`, {
      hint: 'with a strict switch udp has only 8 s before the groups are forgotten: use fewer nodes, --switch flood, or --corosync knet',
    });
  }
}

async function buildNetwork(spec: LabSpec, nodes: readonly LabNode[]): Promise<void> {
  const switchSpace = netnsName(spec.name, 'switch');
  const controller = netnsName(spec.name, 'ctl');
  const spaces = [switchSpace, controller, ...nodes.map((node) => node.netns)];
  await batch([], spaces.map((space) => `netns add ${space}\n`).join(''));
  if (spec.switch === 'strict') {
    for (const rule of MUTE_QUERIER) await mustRun(['nsenter', `--net=/run/netns/${switchSpace}`, 'ebtables', ...rule]);
  }
  await batch(['-n', switchSpace], switchBatch(spec.name, spec.switch));
  await batch(['-n', controller], controllerBatch());
  await batch(['-n', switchSpace], portsBatch(nodes));
}

async function batch(options: readonly string[], input: string): Promise<void> {
  await mustRun(['ip', ...options, '-batch', '-'], { input });
}

/** Starts all nodes and waits for their sshds; the first one that ends instead fails them all. */
async function startNodes(
  spec: LabSpec,
  paths: LabPaths,
  nodes: readonly LabNode[],
  signal?: AbortSignal,
): Promise<void> {
  const isReady = new AbortController();
  const ends = nodes.map((node) => startNode(spec, paths, node, isReady.signal));
  const wait = [
    'nsenter',
    `--net=/run/netns/${netnsName(spec.name, 'ctl')}`,
    '/usr/bin/perl',
    '-',
    String(READY_SECONDS),
  ] as const;
  const options = { input: WAIT_SCRIPT, signal: signal ? AbortSignal.any([signal, isReady.signal]) : isReady.signal };
  try {
    const result = await Promise.race([run([...wait, ...nodes.map((node) => node.address)], options), ...ends]);
    if (result.code === 0) return;
    const node = nodes.find(({ address }) => address === result.stderr.trim());
    throw new HostError(
      `the sshd of the lab's node "${node?.name ?? ''}" does not answer within ${READY_SECONDS} s: ${result.stderr.trim()}`,
    );
  } finally {
    isReady.abort();
  }
}

/** Starts one node. Never resolves: rejects where the node ends before `isReady`. */
function startNode(spec: LabSpec, paths: LabPaths, node: LabNode, isReady: AbortSignal): Promise<never> {
  const log = openSync(`${node.dir}/log`, 'a');
  const lower = [...spec.layers.map((_, index) => `${paths.layers}/${index}`), paths.base, '/'];
  const child = spawn(
    'nsenter',
    [
      `--net=/run/netns/${node.netns}`,
      ...['unshare', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child'],
      ...['sh', paths.nodeScript, node.dir, node.name, `${node.address}/${PREFIX_LENGTH}`, lower.join(':')],
      ...bridgeOptions(spec.switch),
    ],
    { env: toolEnvironment(), stdio: ['ignore', log, log], detached: true, cwd: '/' },
  );
  closeSync(log);
  child.unref();
  return new Promise((_, reject) => {
    child.once('error', (cause) => reject(new HostError(`the lab's node "${node.name}" can't be started`, { cause })));
    child.once('exit', () => {
      if (isReady.aborted) return;
      const said = existsSync(`${node.dir}/log`) ? readFileSync(`${node.dir}/log`, 'utf8').trim() : '';
      reject(
        new HostError(`the lab's node "${node.name}" ended at its start: ${said.split('\n').slice(-5).join('\n')}`),
      );
    });
  });
}
