import { defineConfig } from 'vitest/config';

/** `vitest run --config vitest.network.config.ts`: tests that make networks of their own and measure in real time. */
export default defineConfig({
  test: {
    include: ['test/e2e/network/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
