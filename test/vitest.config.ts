import { defineConfig } from 'vitest/config';
import { Tally } from './support/tally.ts';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/corpus/**', 'test/vm/**'],
    reporters: ['default', new Tally()],
    mockReset: true,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
