import { HostError, messageOf } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { ProbeReport } from '../core/probe.ts';
import type { CompiledPlay } from '../core/task.ts';
import { compareProbes } from '../probe/verdict.ts';

/** Sends one round of packets between all nodes that joined. */
export interface Prober {
  run(): Promise<ProbeReport>;
  close(): Promise<void>;
}

/** Proves the changes of a play with packets. */
export interface Prover {
  /**
   * Makes sure that the baseline has been taken. To be called before anything is changed.
   * @throws HostError where the nodes can't probe
   */
  baseline(): Promise<void>;
  /** Probes, and tells in sentences what is worse than in the baseline; nothing: proved. Callers of the same moment share one probe. */
  prove(): Promise<readonly string[]>;
  /** The newest probe; null: there was none. */
  latest(): ProbeReport | null;
  close(): Promise<void>;
}

/**
 * @param isAlive whether a host can still be asked; paths of hosts that were lost before a proof began prove nothing
 * @param open joins the group on all hosts; null: fewer than two hosts, there is nobody to send to
 */
export function createProver(
  play: CompiledPlay,
  open: (() => Promise<Prober>) | null,
  isAlive: (host: string) => boolean,
  emit: Emit,
): Prover {
  let prober: Promise<Prober> | null = null;
  let before: Promise<ProbeReport> | null = null;
  let newest: ProbeReport | null = null;
  let running: Promise<unknown> = Promise.resolve();
  let queued: Promise<ProbeReport> | null = null;

  async function probe(what: 'baseline' | 'proof'): Promise<ProbeReport> {
    if (!open) throw new Error('no prober');
    const startedAt = performance.now();
    prober ??= open();
    try {
      newest = await (await prober).run();
    } catch (error) {
      throw new HostError(`the probe of play "${play.name}" failed: ${messageOf(error)}`, { cause: error });
    }
    emit({ type: 'probe', what, play: play.name, durationMs: performance.now() - startedAt });
    return newest;
  }

  /** One probe at a time: who asks while one runs gets the next, since the running one began before the change. */
  function nextProof(): Promise<ProbeReport> {
    queued ??= running.then(() => {
      queued = null;
      const proof = probe('proof');
      running = proof.catch(() => {});
      return proof;
    });
    return queued;
  }

  let isNoted = false;
  function noteAlone(): void {
    if (isNoted) return;
    isNoted = true;
    const text = `play "${play.name}": one host alone has nobody to send to: its changes are read back, but not proved with packets`;
    emit({ type: 'note', text });
  }

  return {
    async baseline() {
      if (!open) {
        noteAlone();
        return;
      }
      before ??= probe('baseline');
      await before;
    },
    async prove() {
      if (!open) return [];
      if (!before) throw new Error('proved without a baseline');
      const baseline = await before;
      const alive = new Set(baseline.nodes.filter(isAlive));
      const now = await nextProof();
      const isRelevant = (path: { from: string; to: string }) => alive.has(path.from) && alive.has(path.to);
      return compareProbes(
        { ...baseline, paths: baseline.paths.filter(isRelevant) },
        { ...now, paths: now.paths.filter(isRelevant) },
        play.probe.maxLoss,
      );
    },
    latest: () => newest,
    async close() {
      if (prober) await (await prober).close();
    },
  };
}
