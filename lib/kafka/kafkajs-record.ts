import type kafkajs from 'kafkajs'
import type { Header, OutRecord, RawRecord } from './record.ts'

/** A record as kafkajs delivers it, in our form. The patched decoder puts a list where an object is expected. */
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

/** A record of ours as kafkajs takes it. The patched encoder expects a list in the place of its object. */
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
