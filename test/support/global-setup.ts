import type { TestProject } from 'vitest/node'
import { openTestInfra } from './infra.ts'

/** Starts the servers once for all integration tests; a test file makes its own world on them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const infra = await openTestInfra()
  project.provide('infra', infra.env)
  return infra.stop
}
