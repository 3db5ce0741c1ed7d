import kafkajs from 'kafkajs'
import type { KafkaConfig } from '../config.ts'
import type { Logger } from '../log.ts'
import { scrub } from '../log.ts'
import { registerCodecs } from './compression.ts'
import './kafkajs-patches.ts'

const { Kafka, logLevel } = kafkajs

registerCodecs()

export interface ClientOptions {
  config: KafkaConfig
  log: Logger
  /** Client id shown to the brokers. */
  name: string
  /** How long to wait for one answer of a broker; default: 15 seconds. */
  requestTimeoutMs?: number
}

/** A kafkajs client; connects when a producer, consumer or admin does. */
export function createClient(options: ClientOptions): kafkajs.Kafka {
  const { config } = options
  return new Kafka({
    clientId: options.name,
    brokers: config.brokers,
    ssl: config.ssl,
    ...(config.sasl && {
      sasl: {
        mechanism: config.sasl.mechanism as 'plain',
        username: config.sasl.username,
        password: config.sasl.password.reveal(),
      },
    }),
    connectionTimeout: 3_000,
    requestTimeout: options.requestTimeoutMs ?? 15_000,
    // Without these, kafkajs takes much shorter ones where NODE_ENV is test.
    retry: { retries: 5, initialRetryTime: 150, maxRetryTime: 3_000, factor: 0.2, multiplier: 2 },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => forward(entry, options),
  })
}

/** kafkajs logs outages that it retries as errors. Callers report what matters, so these are debug lines. */
function forward({ namespace, log: { message, error } }: kafkajs.LogEntry, { log }: ClientOptions): void {
  log.debug({ namespace, text: scrub(error ? `${message}: ${error}` : message) }, 'kafkajs')
}
