import { defineConfig } from 'vitest/config'

/**
 * `unit` is pure code beside its tests, in milliseconds; `integration` meets real Kafka,
 * registry, S3 server and Postgres, started once by its global set-up; `brokers` starts servers in each file;
 * `chaos` breaks a cluster of its own; `compose` brings up the containers.
 */
export default defineConfig({
  test: {
    disableConsoleIntercept: true,
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            '{lib,services,simulators,operations,cli,stack,db}/**/*.test.ts',
            'test/unit/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          // Projects with different numbers of workers run one after the other.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'brokers',
          include: ['test/brokers/**/*.test.ts'],
          // One file's servers at a time.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          // One cluster at a time: the machine is small, and so are its disks.
          fileParallelism: false,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'compose',
          include: ['test/compose/**/*.test.ts'],
          // One project of containers at a time.
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
