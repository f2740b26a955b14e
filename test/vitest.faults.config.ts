import { defineConfig } from 'vitest/config';
import { STATE_HOME } from './support/state-home.ts';
import { Tally } from './support/tally.ts';

/** `npm run test:faults`: all cases of what `npm test` runs a part of. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/faults/**/*.test.ts'],
    env: { MCASTCTL_FAULTS: 'all', XDG_STATE_HOME: STATE_HOME },
    globalSetup: ['test/support/state-home.ts'],
    reporters: ['verbose', new Tally()],
    mockReset: true,
    maxConcurrency: 4,
    testTimeout: 900_000,
    hookTimeout: 120_000,
  },
});
