import type { Emit, RunEvent } from '../core/events.ts';
import { redact } from '../core/secrets.ts';
import { forTerminal, type Io } from './io.ts';

export interface Progress {
  readonly emit: Emit;
  /** Takes the live view away; to be called before the report is printed. */
  stop(): Promise<void>;
}

/** Milliseconds of silence after which people wonder whether anything happens. */
const PATIENCE_MS = 700;
/** Milliseconds of silence after which they wonder again. */
const REMINDER_MS = 10_000;
/** Hosts that a line names before it only counts them. */
const MOST_NAMES = 5;

const PHASES = {
  connecting: 'connecting',
  reading: 'reading',
  probing: 'probing',
  trying: 'trying',
  proving: 'proving',
  keeping: 'writing',
  undoing: 'undoing',
} as const;

/**
 * Shows on standard error what each host is at: a live list on a terminal, lines elsewhere.
 * @param isQuiet nothing without a terminal: what cron mails must be the report alone
 */
export function startProgress(hosts: readonly string[], io: Io, isQuiet: boolean): Progress {
  return io.isLive && io.unicode ? liveProgress(hosts, io) : lineProgress(hosts, io, isQuiet);
}

/** A line for each thing that is done; on a terminal, after a silence, also one about what is waited for. */
function lineProgress(hosts: readonly string[], io: Io, isQuiet: boolean): Progress {
  const doing = new Map<string, string>(hosts.map((host) => [host, 'waiting']));
  let timer: NodeJS.Timeout | undefined;
  function waitFor(milliseconds: number): void {
    clearTimeout(timer);
    if (!io.isTerminal) return;
    timer = setTimeout(() => {
      if (doing.size > 0) io.err(`${waitLine(doing)}\n`);
      waitFor(REMINDER_MS);
    }, milliseconds);
  }
  waitFor(PATIENCE_MS);
  return {
    emit: (event) => {
      if (event.type === 'host') doing.set(event.host, PHASES[event.phase]);
      if (event.type === 'task') doing.set(event.host, PHASES[event.phase]);
      if (event.type === 'host-done') doing.delete(event.host);
      const line = isQuiet ? null : plainLine(event);
      if (line === null) return;
      io.err(`${line}\n`);
      waitFor(REMINDER_MS);
    },
    stop: async () => clearTimeout(timer),
  };
}

/** What is waited for, such as `connecting: pve1, pve2 and 14 more; reading: pve9`. */
function waitLine(doing: ReadonlyMap<string, string>): string {
  const byPhase = [...doing];
  const phases = [...new Set(byPhase.map(([, phase]) => phase))];
  return phases
    .map((phase) => {
      const names = byPhase.flatMap(([host, at]) => (at === phase ? [host] : []));
      const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
      return `${phase}: ${names.slice(0, MOST_NAMES).join(', ')}${more}`;
    })
    .join('; ');
}

function plainLine(event: RunEvent): string | null {
  if (event.type === 'probe')
    return `probe (${event.what}) of "${event.play}": ${(event.durationMs / 1000).toFixed(1)} s`;
  if (event.type === 'task' && event.phase !== 'proving') return `${event.host}: ${event.name}: ${PHASES[event.phase]}`;
  return event.type === 'note' ? event.text : null;
}

/** listr2 writes to the terminal itself. */
const shown = (text: string): string => forTerminal(redact(text));

/** listr2 is loaded only when a run takes longer than a person waits without asking. */
function liveProgress(hosts: readonly string[], io: Io): Progress {
  const titles = new Map<string, string>(hosts.map((host) => [host, shown(host)]));
  const listeners = new Map<string, () => void>();
  /** Hosts that are done, and whether well. */
  const done = new Map<string, boolean>();
  const notes: string[] = [];
  let isStopped = false;
  let view: Promise<unknown> = Promise.resolve();
  let finishAll: () => void = () => {};
  const timer = setTimeout(() => {
    // A view that fails is no reason to stop a run.
    view = show().catch(() => {});
  }, PATIENCE_MS);

  function set(host: string, text: string): void {
    titles.set(host, shown(`${host}: ${text}`));
    listeners.get(host)?.();
  }

  async function show(): Promise<void> {
    const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
    if (isStopped) return;
    const finished = new Promise<void>((resolve) => {
      finishAll = resolve;
    });
    const tasks = hosts.map((host) => ({
      title: titles.get(host) ?? host,
      task: (_: unknown, task: { title: string }) =>
        new Promise<void>((resolve, reject) => {
          const update = (): void => {
            task.title = titles.get(host) ?? host;
            const isWell = done.get(host);
            if (isWell === true) resolve();
            if (isWell === false) reject(new Error(task.title));
          };
          listeners.set(host, update);
          update();
          void finished.then(resolve);
        }),
    }));
    const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
    await new Listr(tasks, {
      concurrent: true,
      exitOnError: false,
      registerSignalListeners: false,
      // The report says all of it again.
      rendererOptions: { logger, clearOutput: true, showErrorMessage: false },
    } as ConstructorParameters<typeof Listr>[1]).run();
  }

  return {
    emit(event) {
      if (event.type === 'host') set(event.host, PHASES[event.phase]);
      if (event.type === 'task') set(event.host, `${event.name}: ${PHASES[event.phase]}`);
      if (event.type === 'note') notes.push(event.text);
      if (event.type === 'host-done') {
        done.set(event.host, event.report.status !== 'failed' && event.report.status !== 'unreachable');
        set(event.host, event.report.status);
      }
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      finishAll();
      await view;
      for (const note of notes) io.err(`${note}\n`);
    },
  };
}
