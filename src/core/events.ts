import type { HostReport, TaskReport } from './report.ts';

/** What happens during a run, for those who show it. Printers consume events and know nothing of the engine. */
export type RunEvent =
  | { readonly type: 'host'; readonly host: string; readonly phase: 'connecting' | 'reading' | 'probing' }
  | {
      readonly type: 'task';
      readonly host: string;
      readonly name: string;
      readonly phase: 'trying' | 'proving' | 'keeping' | 'undoing';
    }
  | { readonly type: 'task-done'; readonly host: string; readonly reports: readonly TaskReport[] }
  | { readonly type: 'host-done'; readonly host: string; readonly report: HostReport }
  | { readonly type: 'probe'; readonly what: 'baseline' | 'proof'; readonly play: string; readonly durationMs: number }
  | { readonly type: 'note'; readonly text: string };

export type Emit = (event: RunEvent) => void;
