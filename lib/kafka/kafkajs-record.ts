import type kafkajs from 'kafkajs'
import type { Header, OutRecord, RawRecord } from './record.ts'

/** Converts a message of kafkajs. The patched decoder gives headers as a list where the type has an object. */
export function toRawRecord(topic: string, partition: number, message: kafkajs.KafkaMessage): RawRecord {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: message.key,
    headers: (message.headers as unknown as Header[] | undefined) ?? [],
    bytes: message.value,
  }
}

/** Converts a record for kafkajs. The patched encoder takes headers as a list where the type has an object. */
export function toMessage(record: OutRecord): kafkajs.Message {
  const { key, value, partition, timestamp, headers } = record
  return {
    key,
    value,
    ...(partition !== undefined && { partition }),
    ...(timestamp !== undefined && { timestamp: String(timestamp) }),
    ...(headers && { headers: headers as unknown as kafkajs.IHeaders }),
  }
}
