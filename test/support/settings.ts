import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as config from '../../lib/config.ts'

const root = join(import.meta.dirname, '..', '..')

/** Groups of settings that `lib/config.ts` exports, by the name that a service spreads. */
const groups = new Map(
  Object.entries(config)
    .filter(([name]) => name.endsWith('Env'))
    .map(([name, group]) => [name, Object.keys(group)]),
)

/** Environment names that a service reads, from the text of its `config.ts`. */
export function settingsOf(service: string): string[] {
  const text = readFileSync(join(root, 'services', service, 'config.ts'), 'utf8')
  const spread = [...text.matchAll(/^ {2}\.\.\.(\w+Env),/gm)].flatMap(([, group = '']) => {
    const names = groups.get(group)
    if (!names) throw new Error(`${service}: ${group} is not in lib/config.ts`)
    return names
  })
  const own = [...text.matchAll(/^ {2}([A-Z][A-Z0-9_]+):/gm)].map(([, name = '']) => name)
  return [...new Set([...spread, ...own])]
}

/** Which of them are secrets. */
export const secretSettings = [
  'KAFKA_SASL_PASSWORD',
  'DATABASE_URL',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'SPOTIFY_CLIENT_SECRET',
  'TOKEN_ENCRYPTION_KEYS',
  'DISCORD_WEBHOOK_URL',
]

/** Names in `.env.example`, those that are commented out included. */
export function exampleSettings(): string[] {
  const text = readFileSync(join(root, '.env.example'), 'utf8')
  return [...text.matchAll(/^(?:# )?([A-Z][A-Z0-9_]+)=/gm)].map(([, name = '']) => name)
}
