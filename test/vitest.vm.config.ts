import { defineConfig } from 'vitest/config';
import { Tally } from './support/tally.ts';

/** `npm run test:vm`: whole machines, which the files share one after the other. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/vm/**/*.test.ts'],
    globalSetup: ['test/vm/support/global-setup.ts'],
    reporters: ['verbose', new Tally()],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
