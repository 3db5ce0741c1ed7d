import { defineConfig } from 'vitest/config'

/**
 * Two projects: `unit` is pure code beside its tests, in milliseconds; `integration` meets real Kafka,
 * registry, S3 server and Postgres, started once by its global set-up.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{lib,services,cli,stack,db}/**/*.test.ts', 'test/unit/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
})
