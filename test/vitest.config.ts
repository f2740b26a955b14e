import { defineConfig } from 'vitest/config';
import { STATE_HOME } from './support/state-home.ts';
import { Tally } from './support/tally.ts';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/corpus/**', 'test/vm/**'],
    reporters: ['default', new Tally()],
    env: { XDG_STATE_HOME: STATE_HOME },
    globalSetup: ['test/support/state-home.ts'],
    // Tests of labs mostly wait: for packets, time-outs, daemons.
    maxWorkers: 3,
    mockReset: true,
    maxConcurrency: 12,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
