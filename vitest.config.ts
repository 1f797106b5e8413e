import { defineConfig } from 'vitest/config';

/** Tests of real processes in real time: a machine that is busy with other tests would cost them their leases. */
const REAL_TIME = ['test/e2e/**/*.test.ts', 'test/deployments/{live,first-boot,package-live}.test.ts'];
/** Has a config of its own: it needs root and the machine for itself (vitest.network.config.ts). */
const NETWORK = 'test/e2e/network/**';
/** The same (vitest.lab.config.ts). */
const LAB = 'test/e2e/lab/**';

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: ['test/**/*.test.ts'],
          exclude: REAL_TIME,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'one by one',
          include: REAL_TIME,
          exclude: [NETWORK, LAB],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
