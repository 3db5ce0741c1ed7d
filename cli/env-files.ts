import { join } from 'node:path'
import { loadEnvFile } from 'node:process'

/** Sooner ones win, and the real environment wins over both: an operator's `.env` over the local stack's. */
const files = ['.env', join('.data', 'infra.env')]

/** Reads the settings files of the project's folder where they are present. */
export function loadEnvFiles(): void {
  for (const file of files) {
    try {
      loadEnvFile(join(import.meta.dirname, '..', file))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
}
