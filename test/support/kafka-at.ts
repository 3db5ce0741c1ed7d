import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'

/** Brokers that a test file has started, without a registry, and with the shortest session timeout. */
export function kafkaAt(ports: readonly number[]): KafkaConfig {
  const env = {
    KAFKA_BROKERS: ports.map((port) => `127.0.0.1:${port}`).join(','),
    KAFKA_SESSION_TIMEOUT_SECONDS: '6',
    SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9',
  }
  return kafkaConfig(parseEnv(kafkaEnv, env))
}
