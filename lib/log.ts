import type { DestinationStream, LoggerOptions, Logger as PinoLogger } from 'pino'
import { pino, stdSerializers } from 'pino'

export type Logger = PinoLogger

/** Things that look like secrets wherever they turn up in free text: passwords in addresses, webhook and bearer tokens. */
const secretPatterns: readonly [RegExp, string][] = [
  [/(:\/\/[^:/\s@]+:)[^@\s/]+@/g, '$1[redacted]@'],
  // With any host, version or path before it, as DISCORD_WEBHOOK_URL may be given.
  [/(\/webhooks\/\d+\/)[\w-]+/g, '$1[redacted]'],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]+/g, '$1 [redacted]'],
  [/\b((?:access|refresh)_token|client_secret|code)(=|"\s*:\s*")[^&"\s]+/g, '$1$2[redacted]'],
]

/** Text without the secrets it may carry; used for error messages that come from outside. */
export function scrub(text: string): string {
  return secretPatterns.reduce((t, [pattern, replacement]) => t.replace(pattern, replacement), text)
}

/**
 * JSON lines on standard output. Fixed event names in `msg`, fields beside it, one line a batch and none a
 * record. Known secret fields and anything that looks like one in an error never get out.
 *
 * @param to another place for the lines
 */
export function openLog(service: string, level: string, to?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: { service },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: [...redactedFields, ...redactedFields.map((f) => `*.${f}`)],
      censor: '[redacted]',
    },
    serializers: { err: errorFields },
  }
  return to ? pino(options, to) : pino(options)
}

const redactedFields = [
  'password',
  'refresh_token',
  'access_token',
  'refreshToken',
  'accessToken',
  'authorization',
  'client_secret',
  'webhookUrl',
]

function errorFields(error: Error) {
  const { type, message, stack, code } = stdSerializers.err(error) as {
    type: string
    message: string
    stack: string
    code?: string
  }
  return { type, message: scrub(message), code, stack: scrub(stack) }
}
