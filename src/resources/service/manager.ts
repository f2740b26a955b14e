import type { Argv, Step } from '../../core/resource.ts';

/** A service as its manager tells it, and what changes it. */
export interface ManagedService {
  readonly isActive: boolean;
  /** What people should know of that, such as that it has failed. */
  readonly activeNote?: string;
  /** null: nobody can tell, as there is nothing that starts it at boot. */
  readonly isEnabled: boolean | null;
  readonly isMasked: boolean;
  /** Why it can't be started, enabled, reloaded or masked; left out: it can. */
  readonly no: { readonly start?: string; readonly enable?: string; readonly reload?: string; readonly mask?: string };
  readonly isUp: Argv;
  readonly start: readonly Step[];
  readonly stop: readonly Step[];
  readonly restart: readonly Step[];
  readonly reload: readonly Step[];
  readonly enable: readonly Step[];
  readonly disable: readonly Step[];
  readonly mask: readonly Step[];
  readonly unmask: readonly Step[];
}
