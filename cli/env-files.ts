import { join, resolve } from 'node:path'
import { loadEnvFile } from 'node:process'
import { describe, OperatorFault } from '../operations/fault.ts'

const root = join(import.meta.dirname, '..')

/**
 * Reads the settings files of the project's folder where they are present. What is set already stays: the real
 * environment wins over `.env`, an operator's `.env` over the addresses of the local stack, which lie where
 * STACK_DATA_DIR puts its data.
 */
export function loadEnvFiles(): void {
  loadIfPresent(join(root, '.env'))
  loadIfPresent(resolve(root, process.env.STACK_DATA_DIR || '.data', 'infra.env'))
}

function loadIfPresent(file: string): void {
  try {
    loadEnvFile(file)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return
    throw new OperatorFault(
      `${file} cannot be read: ${describe(cause)}`,
      'Make it readable, or move it away.',
      {
        cause,
      },
    )
  }
}
