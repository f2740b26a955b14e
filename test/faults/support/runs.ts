import { AgentSession } from '../../../src/agent/session.ts';
import { prepare } from '../../../src/commands/prepare.ts';
import { UnreachableError } from '../../../src/core/errors.ts';
import type { HostReport } from '../../../src/core/report.ts';
import type { CompiledPlay } from '../../../src/core/task.ts';
import { applyPlays } from '../../../src/engine/apply.ts';
import { checkHosts } from '../../../src/engine/check.ts';
import { exitCodeOf, runStatus } from '../../../src/engine/outcome.ts';
import { type Gate, gated, type Watcher } from './gate.ts';
import type { FaultNode } from './node.ts';

/** Seconds after which a node takes a task back by itself. */
export const CONFIRM_S = 3;

/** What a run came to. */
export interface RunEnd {
  readonly exitCode: number;
  readonly report: HostReport;
  /** What it said meanwhile. */
  readonly notes: readonly string[];
}

/** The plays of a playbook for one node. */
export async function playsOf(inventory: string, playbook: string, node: string): Promise<readonly CompiledPlay[]> {
  return (await prepare(inventory, { playbook, limit: node }, { err: () => undefined })).plays;
}

/** What a run does about its connection: the first login may be watched, later ones are as they are. */
export interface RunOptions {
  readonly watch?: Watcher;
  /** Whether a login after the first is possible now; "never answers": not even a refusal. */
  readonly mayLogIn?: () => boolean | 'never answers';
  readonly patience?: number;
  readonly who?: string;
  readonly seconds?: number;
  readonly signal?: AbortSignal;
  readonly onGate?: (gate: Gate) => void;
}

let runs = 0;

function opener(node: FaultNode, { watch, mayLogIn, onGate }: RunOptions) {
  let logins = 0;
  return async () => {
    const isFirst = logins++ === 0;
    const may = isFirst || (mayLogIn?.() ?? true);
    if (may === 'never answers') return new Promise<never>(() => {});
    if (!may) throw new UnreachableError(node.name, `"${node.name}" does not answer`);
    const { link, pid } = node.link();
    const gate = gated(link, pid, (isFirst && watch) || (() => 'pass'));
    if (isFirst) onGate?.(gate);
    const session = await AgentSession.open(gate, { commandTimeoutMs: 20_000 });
    return { session, close: async () => session.close() };
  };
}

/** Applies plays to a node by the engine that the command line has, without its login. */
export async function applyTo(
  node: FaultNode,
  plays: readonly CompiledPlay[],
  options: RunOptions = {},
): Promise<RunEnd> {
  const notes: string[] = [];
  const { hosts } = await applyPlays({
    plays,
    open: opener(node, options),
    forks: 1,
    emit: (event) => (event.type === 'note' ? void notes.push(event.text) : undefined),
    signal: options.signal ?? new AbortController().signal,
    openProber: () => Promise.reject(new Error('one host alone has nobody to send to')),
    confirm: {
      seconds: options.seconds ?? CONFIRM_S,
      patience: options.patience ?? 0,
      run: `fault-${process.pid}-${++runs}`,
      who: options.who ?? 'a run with a fault',
    },
  });
  return endOf(hosts, notes);
}

/** Compares plays with a node. */
export async function checkOn(node: FaultNode, plays: readonly CompiledPlay[]): Promise<RunEnd> {
  const outcomes = await checkHosts({
    plays,
    open: opener(node, {}),
    forks: 1,
    emit: () => undefined,
    signal: new AbortController().signal,
  });
  return endOf(new Map([...outcomes].map(([host, { report }]) => [host, report])), []);
}

function endOf(hosts: ReadonlyMap<string, HostReport>, notes: readonly string[]): RunEnd {
  const [report] = hosts.values();
  if (!report) throw new Error('no host');
  return { exitCode: exitCodeOf(runStatus([...hosts.values()])), report, notes };
}
