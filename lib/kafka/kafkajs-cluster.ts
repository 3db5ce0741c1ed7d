import type kafkajs from 'kafkajs'
import { mend } from './kafkajs-patches.ts'

/** kafkajs's internal view of a cluster: connections to brokers, and the leaders of partitions. */
export interface KafkajsCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: string[]): Promise<void>
  refreshMetadata(): Promise<void>
  brokerPool: { findConnectedBroker(): Promise<KafkajsBroker> }
  findGroupCoordinator(of: { groupId: string }): Promise<KafkajsBroker>
  findBroker(of: { nodeId: string }): Promise<KafkajsBroker>
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  fetchTopicsOffset(
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
}

/** Versions of one API, both ends included. */
export interface VersionRange {
  minVersion: number
  maxVersion: number
}

/** kafkajs's internal view of a broker. */
export interface KafkajsBroker {
  /** By Kafka's number of the API; those of the broker that the client connected to first. */
  versions: Record<number, VersionRange>
  connectionPool: { send<T>(message: ProtocolMessage<T>): Promise<T> }
  fetch(request: FetchRequest): Promise<{ responses: { partitions: { messages: FetchedMessage[] }[] }[] }>
  offsetFetch(request: {
    groupId: string
    topics: { topic: string; partitions: { partition: number }[] }[]
  }): Promise<{
    responses: {
      topic: string
      partitions: { partition: number; offset: string; metadata: string | null }[]
    }[]
  }>
}

interface FetchRequest {
  maxWaitTime: number
  minBytes: number
  maxBytes: number
  isolationLevel: number
  topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[]
}

/** A fetched record, with the batch it came in. */
export type FetchedMessage = kafkajs.KafkaMessage & { batchContext?: { partitionLeaderEpoch: number } }

interface ProtocolMessage<T> {
  request: { apiKey: number; apiName: string; apiVersion: number; encode(): Promise<unknown> }
  response: { decode(bytes: Buffer): Promise<object>; parse(decoded: object): Promise<T> }
}

/** Makes a cluster with the settings of a client, as kafkajs does for each producer, consumer and admin. */
export function createCluster(client: kafkajs.Kafka): KafkajsCluster {
  mend('index.js', ["CREATE_CLUSTER: Symbol('private:Kafka:createCluster'),"])
  const symbol = Object.getOwnPropertySymbols(client).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  const { [symbol ?? '']: create } = client as unknown as Record<
    symbol | string,
    (options: object) => KafkajsCluster
  >
  if (!create) throw new Error('kafkajs has changed: its clients make no cluster')
  return create({ metadataMaxAge: 300_000, allowAutoTopicCreation: false, isolationLevel: readUncommitted })
}

/** Kafka's number for the isolation level. */
export const readUncommitted = 0

const metadataApi = 3
/** The first version whose answer holds topic ids (Kafka 2.8); kafkajs speaks up to 6. */
const metadataVersion = 10

interface Encoder {
  writeInt8(value: number): Encoder
  writeBoolean(value: boolean): Encoder
  writeUVarInt(value: number): Encoder
  writeUVarIntString(value: string): Encoder
  writeBufferInternal(bytes: Buffer): void
}

interface Decoder {
  readInt16(): number
  readInt32(): number
  readBoolean(): boolean
  readBytes(length: number): Buffer
  readUVarInt(): number
  readUVarIntString(): string | null
  readUVarIntArray<T>(read: (decoder: Decoder) => T): T[] | null
  readTaggedFields(): unknown
}

/** Whether a broker can answer with topic ids. */
export function tellsTopicIds({ versions }: KafkajsBroker): boolean {
  return (versions[metadataApi]?.maxVersion ?? 0) >= metadataVersion
}

/**
 * Metadata, version 10, which answers with the ids of topics. It is a flexible version: lengths are varints of the
 * length plus one, and each structure ends with tagged fields, also the headers of request and answer. kafkajs writes
 * older headers without them, so here the tagged fields of the header are the first byte of each body.
 */
export function topicIdsMessage(topics: readonly string[]): ProtocolMessage<Map<string, string>> {
  type Class<T> = new (bytes?: Buffer) => T
  const NewEncoder = mend<Class<Encoder>>('protocol/encoder.js', ['writeUVarIntString(value) {'])
  const NewDecoder = mend<Class<Decoder>>('protocol/decoder.js', ['readUVarIntArray(reader) {'])
  return {
    request: {
      apiKey: metadataApi,
      apiName: 'Metadata',
      apiVersion: metadataVersion,
      async encode() {
        const body = new NewEncoder().writeInt8(noTags).writeUVarInt(topics.length + 1)
        for (const topic of topics) {
          body.writeBufferInternal(Buffer.alloc(idBytes))
          body.writeUVarIntString(topic).writeInt8(noTags)
        }
        const [create, clusterRights, topicRights] = [false, false, false]
        return body
          .writeBoolean(create)
          .writeBoolean(clusterRights)
          .writeBoolean(topicRights)
          .writeInt8(noTags)
      },
    },
    response: {
      decode: async (bytes) => ({ ids: decodeTopicIds(new NewDecoder(bytes)) }),
      parse: async (decoded) => (decoded as { ids: Map<string, string> }).ids,
    },
  }
}

const noTags = 0
const idBytes = 16

/** Ids of the topics that exist, as Kafka's own tools print them. */
function decodeTopicIds(body: Decoder): Map<string, string> {
  const readInts = () => body.readUVarIntArray((d) => d.readInt32())
  body.readTaggedFields()
  body.readInt32() // throttle time
  body.readUVarIntArray(() => {
    body.readInt32() // node
    body.readUVarIntString() // host
    body.readInt32() // port
    body.readUVarIntString() // rack
    body.readTaggedFields()
  })
  body.readUVarIntString() // cluster
  body.readInt32() // controller
  const ids = new Map<string, string>()
  body.readUVarIntArray(() => {
    const error = body.readInt16()
    const name = body.readUVarIntString()
    const id = body.readBytes(idBytes)
    body.readBoolean() // internal
    body.readUVarIntArray(() => {
      body.readInt16() // error
      for (const _ of ['partition', 'leader', 'leader epoch']) body.readInt32()
      for (const _ of ['replicas', 'in sync', 'offline']) readInts()
      body.readTaggedFields()
    })
    body.readInt32() // rights
    body.readTaggedFields()
    if (error === 0 && name !== null && id.some((byte) => byte !== 0)) ids.set(name, id.toString('base64url'))
  })
  return ids
}
