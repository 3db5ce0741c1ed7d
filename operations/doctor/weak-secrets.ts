/** Settings that `findWeaknesses` reads. */
export const secretNames = [
  'TOKEN_ENCRYPTION_KEYS',
  'DATABASE_URL',
  'AWS_SECRET_ACCESS_KEY',
  'KAFKA_SASL_PASSWORD',
  'KAFKA_SASL_MECHANISM',
  'KAFKA_SSL',
  'SPOTIFY_CLIENT_SECRET',
  'SPOTIFY_API_URL',
  'DISCORD_WEBHOOK_URL',
] as const

type Settings = Partial<Record<(typeof secretNames)[number], string | undefined>>

export interface Weakness {
  name: string
  text: string
  hint: string
}

/** Defaults of servers and of their tutorials. */
const wellKnown = new Set(
  'postgres password passwd secret admin root test changeme example songswap simulated minio minioadmin minio123 guest 12345678 123456789 admin-secret kafka-secret'.split(
    ' ',
  ),
)
const leastLength = 12
const keyBytes = 32
/** 32 random bytes hold about 30 different values, and practically never fewer than 20. */
const leastDifferentBytes = 20

/** Secrets that protect little: well-known, short, not random, or sent in the clear. The text never contains one. */
export function findWeaknesses(settings: Settings): Weakness[] {
  return [
    ...ofTokenKeys(settings.TOKEN_ENCRYPTION_KEYS),
    ...ofPassword('DATABASE_URL', passwordOf(settings.DATABASE_URL)),
    ...ofPassword('AWS_SECRET_ACCESS_KEY', settings.AWS_SECRET_ACCESS_KEY),
    ...ofPassword('KAFKA_SASL_PASSWORD', settings.KAFKA_SASL_PASSWORD),
    ...ofSasl(settings),
    ...ofClientSecret(settings),
    ...ofWebhook(settings.DISCORD_WEBHOOK_URL),
  ]
}

function ofTokenKeys(ring: string | undefined): Weakness[] {
  const keys = (ring ?? '').split(',').flatMap((part) => {
    const [kid = '', key = ''] = part.trim().split(':')
    return key ? [{ kid, bytes: Buffer.from(key, 'base64url') }] : []
  })
  const name = 'TOKEN_ENCRYPTION_KEYS'
  // The check of the settings reports a key of another length.
  const weak = keys.filter(
    ({ bytes }) => bytes.length === keyBytes && new Set(bytes).size < leastDifferentBytes,
  )
  const twice = keys.filter(({ kid }, i) => keys.findIndex((other) => other.kid === kid) < i)
  return [
    ...weak.map(({ kid }) => ({
      name,
      text: `the key "${kid}" is not random`,
      hint: 'Put a new one first: openssl rand -base64 32 | tr +/ -_ | tr -d = ; keep the old one behind it.',
    })),
    ...twice.map(({ kid }) => ({
      name,
      text: `the key id "${kid}" is there twice: tokens of one of the keys cannot be opened`,
      hint: 'Give each key an id of its own.',
    })),
  ]
}

function passwordOf(address: string | undefined): string | undefined {
  if (!address || !URL.canParse(address)) return undefined
  const { password, searchParams } = new URL(address)
  return toDecoded(password || searchParams.get('password') || '')
}

/** A percent sign may be a literal one: the driver then takes the password as it is written. */
function toDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function ofPassword(name: string, password: string | undefined): Weakness[] {
  if (password === undefined) return []
  const hint = 'Set a random one of at least 16 characters, at the server too.'
  if (password === '') return [{ name, text: 'it has no password', hint }]
  if (wellKnown.has(password.toLowerCase())) return [{ name, text: 'its password is a well-known one', hint }]
  if (password.length >= leastLength) return []
  return [{ name, text: `its password has ${password.length} characters`, hint }]
}

function ofSasl({ KAFKA_SASL_MECHANISM, KAFKA_SSL }: Settings): Weakness[] {
  if (KAFKA_SASL_MECHANISM !== 'plain' || KAFKA_SSL === 'true') return []
  const text = 'plain without KAFKA_SSL=true: the password crosses the network in the clear'
  return [{ name: 'KAFKA_SASL_MECHANISM', text, hint: 'Set KAFKA_SSL=true, or use scram-sha-512.' }]
}

function ofClientSecret({ SPOTIFY_CLIENT_SECRET: secret, SPOTIFY_API_URL: api }: Settings): Weakness[] {
  const isReal = !api || /^https:\/\/api\.spotify\.com(\/|$)/.test(api)
  if (!secret || !isReal || /^[0-9a-f]{32}$/.test(secret)) return []
  const text = "it does not look like one of Spotify's (32 hexadecimal digits)"
  return [{ name: 'SPOTIFY_CLIENT_SECRET', text, hint: "Copy it from Spotify's Developer Dashboard." }]
}

function ofWebhook(address: string | undefined): Weakness[] {
  if (!address || !URL.canParse(address)) return []
  const { protocol, hostname } = new URL(address)
  // A name without a dot belongs to a container.
  if (protocol !== 'http:' || hostname.startsWith('127.') || !hostname.includes('.')) return []
  const text = 'it is not https: whoever listens can post as this webhook'
  return [{ name: 'DISCORD_WEBHOOK_URL', text, hint: 'Use the https address that Discord shows.' }]
}
