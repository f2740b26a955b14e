import { defineConfig } from 'vitest/config';
import { STATE_HOME } from './support/state-home.ts';
import { Tally } from './support/tally.ts';

/** `npm run test:vm`: whole machines, which the files share one after the other. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/vm/**/*.test.ts'],
    env: { XDG_STATE_HOME: STATE_HOME },
    globalSetup: ['test/vm/support/global-setup.ts', 'test/support/state-home.ts'],
    reporters: ['verbose', new Tally()],
    fileParallelism: false,
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
