import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from '../../lib/settings.ts'
import { envOf } from '../../lib/settings.ts'
import { settings as alerter } from '../../services/alerter/config.ts'
import { settings as archiver } from '../../services/archiver/config.ts'
import { settings as enricher } from '../../services/enricher/config.ts'
import { settings as loader } from '../../services/loader/config.ts'
import { settings as poller } from '../../services/poller/config.ts'

const root = join(import.meta.dirname, '..', '..')

const services: Record<string, Settings> = { poller, archiver, loader, enricher, alerter }

/** Environment names that a service reads. */
export function settingsOf(service: string): string[] {
  return Object.keys(envOf(services[service] ?? {}))
}

/** Names of the secrets. */
export const secretSettings = [
  'KAFKA_SASL_PASSWORD',
  'DATABASE_URL',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'SPOTIFY_CLIENT_SECRET',
  'TOKEN_ENCRYPTION_KEYS',
  'DISCORD_WEBHOOK_URL',
]

/** Names in `.env.example`, also those in comments. */
export function exampleSettings(): string[] {
  const text = readFileSync(join(root, '.env.example'), 'utf8')
  return [...text.matchAll(/^(?:# )?([A-Z][A-Z0-9_]+)=/gm)].map(([, name = '']) => name)
}
