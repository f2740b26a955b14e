import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the runs of tests keep their journal: not with those of the user who starts the tests. */
export const STATE_HOME = join(tmpdir(), `mcastctl-tests-${process.pid}`);

/** Vitest's global teardown. */
export function teardown(): void {
  rmSync(STATE_HOME, { recursive: true, force: true });
}
