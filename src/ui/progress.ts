import type { Emit, RunEvent } from '../core/events.ts';
import { forTerminal, type Io } from './io.ts';

export interface Progress {
  readonly emit: Emit;
  /** Takes the live view away; to be called before the report is printed. */
  stop(): Promise<void>;
}

/** Milliseconds of silence after which people wonder whether anything happens. */
const PATIENCE_MS = 700;

const PHASES = {
  connecting: 'connecting',
  reading: 'reading',
  trying: 'trying',
  proving: 'proving',
  keeping: 'writing',
  undoing: 'undoing',
} as const;

/**
 * Shows on standard error what each host is at: a live list on a terminal, a line for each task done elsewhere.
 * @param isQuiet nothing without a terminal: what cron mails must be the report alone
 */
export function startProgress(hosts: readonly string[], io: Io, isQuiet: boolean): Progress {
  if (io.isLive) return liveProgress(hosts, io);
  return {
    emit: (event) => {
      if (isQuiet) return;
      const line = plainLine(event);
      if (line !== null) io.err(`${line}\n`);
    },
    stop: async () => {},
  };
}

function plainLine(event: RunEvent): string | null {
  if (event.type === 'probe')
    return `probe (${event.what}) of "${event.play}": ${(event.durationMs / 1000).toFixed(1)} s`;
  if (event.type === 'task' && event.phase !== 'proving') return `${event.host}: ${event.name}: ${PHASES[event.phase]}`;
  return event.type === 'note' ? event.text : null;
}

/** listr2 is loaded only when a run takes longer than a person waits without asking. */
function liveProgress(hosts: readonly string[], io: Io): Progress {
  const titles = new Map<string, string>(hosts.map((host) => [host, forTerminal(host)]));
  const listeners = new Map<string, (title: string, isDone: boolean) => void>();
  const done = new Map<string, boolean>();
  const notes: string[] = [];
  let isStopped = false;
  let view: Promise<unknown> = Promise.resolve();
  let finishAll: () => void = () => {};
  const timer = setTimeout(() => {
    view = show();
  }, PATIENCE_MS);

  function set(host: string, text: string, isDone = false): void {
    titles.set(host, forTerminal(`${host}: ${text}`));
    if (isDone) done.set(host, true);
    listeners.get(host)?.(titles.get(host) ?? host, isDone);
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
        new Promise<void>((resolve) => {
          listeners.set(host, (title, isDone) => {
            task.title = title;
            if (isDone) resolve();
          });
          if (done.has(host)) resolve();
          void finished.then(resolve);
        }),
    }));
    const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
    await new Listr(tasks, {
      concurrent: true,
      exitOnError: false,
      registerSignalListeners: false,
      renderer: io.unicode ? 'default' : 'simple',
      rendererOptions: { logger },
    } as ConstructorParameters<typeof Listr>[1]).run();
  }

  return {
    emit(event) {
      if (event.type === 'host') set(event.host, PHASES[event.phase]);
      if (event.type === 'task') set(event.host, `${event.name}: ${PHASES[event.phase]}`);
      if (event.type === 'note') notes.push(event.text);
      if (event.type === 'host-done') set(event.host, event.report.status, true);
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
