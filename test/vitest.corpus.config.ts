import { defineConfig } from 'vitest/config';

/** `npm run corpus`: real files of other people, which are not part of the project. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/corpus/**/*.test.ts'],
    testTimeout: 60_000,
  },
});
