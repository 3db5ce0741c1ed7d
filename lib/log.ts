import type { DestinationStream, LoggerOptions, Logger as PinoLogger } from 'pino'
import { pino, stdSerializers } from 'pino'

export type Logger = PinoLogger

/** Patterns of secrets in free text: passwords in addresses, webhook and bearer tokens. */
const secretPatterns: readonly [RegExp, string][] = [
  [/(:\/\/[^:/\s@]+:)[^@\s/]+@/g, '$1[redacted]@'],
  // After any host, version or path, as DISCORD_WEBHOOK_URL may have.
  [/(\/webhooks\/\d+\/)[\w-]+/g, '$1[redacted]'],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]+/g, '$1 [redacted]'],
  [/\b((?:access|refresh)_token|client_secret|code)(=|"\s*:\s*")[^&"\s]+/g, '$1$2[redacted]'],
]

/** Removes secrets from text, such as error messages of servers. */
export function scrub(text: string): string {
  return secretPatterns.reduce((t, [pattern, replacement]) => t.replace(pattern, replacement), text)
}

/**
 * Logs JSON lines to standard output, with a fixed event name in `msg` and fields beside it: one line for a batch, none
 * for a record. Redacts known secret fields, and text in errors that looks like a secret.
 *
 * @param to another destination for the lines
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
