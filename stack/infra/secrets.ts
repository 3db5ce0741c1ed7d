import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Made once for a data folder and kept in it, beside the data that they guard. */
export interface Secrets {
  postgresPassword: string
  s3AccessKeyId: string
  s3SecretAccessKey: string
  tokenEncryptionKeys: string
}

/** Reads the secrets of a data folder and makes missing ones. */
export function readSecrets(dataDir: string): Secrets {
  const file = join(dataDir, 'secrets.json')
  const secrets = { ...makeSecrets(), ...readStored(file) }
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return secrets
}

function makeSecrets(): Secrets {
  return {
    postgresPassword: randomBytes(18).toString('base64url'),
    s3AccessKeyId: 'songswap',
    s3SecretAccessKey: randomBytes(24).toString('base64url'),
    tokenEncryptionKeys: `local:${randomBytes(32).toString('base64url')}`,
  }
}

function readStored(file: string): Partial<Secrets> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Partial<Secrets>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}
