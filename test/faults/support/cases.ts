import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Known } from './bench.ts';
import type { Boundary, Fate, Gate, Held } from './gate.ts';
import type { FaultNode } from './node.ts';
import { applyTo, CONFIRM_S, checkOn, type RunEnd, type RunOptions } from './runs.ts';
import { isSettled, remnants, settled, show, sideOf } from './shown.ts';

/** What a fault works on. */
export interface Scene {
  readonly node: FaultNode;
  readonly known: Known;
  readonly gate: Gate;
  readonly held: Held;
  /** Filled by the fault as it needs: whether the node can be reached again, what was seen. */
  readonly memo: Map<string, unknown>;
}

/** One way in which a run goes wrong. */
export interface Fault {
  readonly name: string;
  /** Where it can strike in a run whose steps are known. */
  at(known: Known): readonly Boundary[];
  /** Before the run. */
  before?(node: FaultNode, known: Known): Promise<void>;
  strike(scene: Scene): Fate | Promise<Fate>;
  /** It strikes again at each message after the first. */
  readonly isLasting?: boolean;
  readonly mayLogIn?: (memo: Map<string, unknown>) => boolean | 'never answers';
  /** The controller is no more: its run has no end. */
  readonly isEnd?: boolean;
  /** After the run: room is made, the line is mended. */
  lift?(node: FaultNode, known: Known): Promise<void>;
  /** After the next run: nothing of the fault is left on the node. */
  after?(node: FaultNode, known: Known): Promise<void>;
  /** It is over when the run is: what the node does by itself comes after. */
  readonly isMended?: boolean;
  /** The node can take the task back, but not note that it has. */
  readonly isStuck?: boolean;
  /** Only the next run can take the task back. */
  readonly needsNextRun?: boolean;
  /** The node lies: what is reported may be wrong, the node may not be between two states. */
  readonly isLie?: boolean;
  /** More that has to hold. Throws. */
  also?(end: RunEnd | null, side: string, memo: Map<string, unknown>): void;
  /** Among which subjects it is tried; default: all. What takes long is tried on a few. */
  readonly subjects?: readonly string[];
  readonly options?: RunOptions;
}

export interface CaseName {
  readonly known: Known;
  readonly fault: Fault;
  readonly boundary: Boundary;
}

export function nameOf({ known, fault, boundary }: CaseName): string {
  const place = `${boundary.side === 'question' ? 'before' : 'after'} ${boundary.step}`;
  return `${known.subject.name}: ${fault.name} ${place}`;
}

/** Longest time that a run with a fault may take. */
const LIMIT_MS = 90_000;

/**
 * One case: known state, one fault at one boundary, then what the node's own tools show, then the next run.
 * @returns what is wrong, a sentence each; nothing: all is as it has to be
 */
export async function runCase(bench: Bench, each: CaseName): Promise<string[]> {
  const { known, fault, boundary } = each;
  const wrong: string[] = [];
  return bench.withNode(async (node) => {
    try {
      await bench.reset(node, known.subject);
      await fault.before?.(node, known);
      await strikeAndJudge(node, each, wrong);
      await fault.lift?.(node, known);
      await judgeNext(node, known, wrong);
    } catch (error) {
      wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      await fault.lift?.(node, known).catch(() => {});
      await tidy(node);
    }
    await fault.after?.(node, known);
    return wrong.map((text) => `${nameOf({ known, fault, boundary })}: ${text}`);
  });
}

async function strikeAndJudge(node: FaultNode, { known, fault, boundary }: CaseName, wrong: string[]): Promise<void> {
  const memo = new Map<string, unknown>();
  let isStruck = false;
  let ended: (() => void) | null = null;
  const noEnd = new Promise<null>((resolve) => {
    ended = () => resolve(null);
  });
  const running = applyTo(node, await known.plays(node), {
    ...fault.options,
    mayLogIn: () => fault.mayLogIn?.(memo) ?? (fault.isEnd ? 'never answers' : true),
    watch: async (held, gate) => {
      const isHere = held.step === boundary.step && held.side === boundary.side;
      if (isStruck ? fault.isLasting !== true : !isHere) return 'pass';
      isStruck = true;
      let fate: Fate = 'pass';
      try {
        fate = await fault.strike({ node, known, gate, held, memo });
      } catch (error) {
        wrong.push(`the fault could not be made: ${error}`);
      }
      if (fault.isEnd) ended?.();
      return fate;
    },
  });
  running.catch(() => {});
  const limit = sleep(LIMIT_MS, 'late' as const, { ref: false });
  const end = await Promise.race([running, noEnd, limit]);
  if (!isStruck) throw new Error(`the run never came there: ${JSON.stringify(end)}`);
  if (end === 'late') throw new Error(`the run does not end within ${LIMIT_MS / 1000} s`);
  if (fault.needsNextRun) return;
  if (fault.isMended) await fault.lift?.(node, known);
  if (fault.isStuck) await sleep((CONFIRM_S + 3) * 1000);
  else await settled(node);
  const side = sideOf(await show(node, known.subject), known.old, known.new);
  const told = end === null ? 'no end' : JSON.stringify({ ...end.report, notes: end.notes, exit: end.exitCode });
  if (side !== 'old' && side !== 'new') wrong.push(`${side}; ${told}`);
  else if (end !== null && fault.isLie !== true)
    wrong.push(...misreported(side, end).map((text) => `${text}: ${told}`));
  fault.also?.(end, side, memo);
}

/** Where the report says something else than the node. */
export function misreported(side: 'old' | 'new', { exitCode, report }: Pick<RunEnd, 'exitCode' | 'report'>): string[] {
  const statuses = report.tasks.map(({ status }) => status);
  const isChanged = statuses.includes('changed');
  const isFailed = statuses.some((status) => status === 'failed' || status === 'rolled-back');
  const wrong: string[] = [];
  if (isChanged && side !== 'new') wrong.push('reported as changed, but the node has its old state');
  if (!isChanged && side === 'new') wrong.push('the node has its new state, which is not reported');
  if (isFailed && exitCode !== 1) wrong.push(`a task failed, but the exit code is ${exitCode}`);
  if (exitCode === 0 && !isChanged) wrong.push('nothing was changed, but the exit code is 0');
  if (report.tasks.some(({ error }) => error?.includes('internal error'))) wrong.push('an internal error');
  if (report.error?.includes('internal error')) wrong.push('an internal error');
  return wrong;
}

/** The next run has to converge and to leave nothing, whatever was before. */
export async function judgeNext(node: FaultNode, known: Known, wrong: string[]): Promise<void> {
  const next = await applyTo(node, await known.plays(node), { patience: 20, who: 'the next run' });
  if (next.exitCode !== 0) wrong.push(`the next run fails: ${JSON.stringify(next)}`);
  const side = sideOf(await show(node, known.subject), known.old, known.new);
  if (side !== 'new') wrong.push(`after the next run: ${side}`);
  const checked = await checkOn(node, await known.plays(node));
  if (!isSettled(known.subject, checked)) wrong.push(`check is not silent: ${JSON.stringify(checked)}`);
  const left = await remnants(node);
  if (left !== '') {
    wrong.push(`left behind: ${left}`);
    await tidy(node);
  }
}

/** So that one case does not spoil the next. */
export async function tidy(node: FaultNode): Promise<void> {
  await node.sh(
    "pkill -KILL -f 'undo[.]pl|^perl -e ' || true; rm -rf /var/lib/mcastctl; find /etc /boot -name '.*.mcastctl-*' -delete",
  );
}
