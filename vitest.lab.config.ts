import { defineConfig } from 'vitest/config';

/** `vitest run --config vitest.lab.config.ts`: three real kernels, their power, and a machine for themselves. */
export default defineConfig({
  test: {
    include: ['test/e2e/lab/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
