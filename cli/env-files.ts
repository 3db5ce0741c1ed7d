import { join, resolve } from 'node:path'
import { loadEnvFile } from 'node:process'
import { describe, OperatorFault } from '../operations/fault.ts'

const root = join(import.meta.dirname, '..')

/**
 * Loads the settings files of the project's folder that exist. A variable that is set already stays: the environment
 * wins over `.env`, and `.env` over the addresses of the local stack, in `infra.env` below STACK_DATA_DIR.
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
