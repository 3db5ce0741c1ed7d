import { join } from 'node:path'
import { openCodec } from '../../lib/codec.ts'
import type { KafkaConfig } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { openLog } from '../../lib/log.ts'
import type { Topic } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { createKafka } from '../../stack/infra/kafka.ts'
import { freePorts } from '../../stack/infra/ports.ts'
import type { Server } from '../../stack/infra/server.ts'
import { jarsDir } from '../../stack/settings.ts'
import { makeBrokerFolder } from './infra.ts'
import { kafkaAt } from './kafka-at.ts'
import type { TcpProxy } from './tcp-proxy.ts'
import { openTcpProxy } from './tcp-proxy.ts'

/** A test file's own broker, reachable over a link that the tests break, and directly. */
export interface LinkedBroker {
  server: Server
  link: TcpProxy
  /** Reaches the broker over the link. */
  linked: KafkaConfig
  /** Reaches the broker directly. */
  direct: KafkaConfig
  admin: Admin
  /** Makes a topic of bytes. */
  makeTopic(name: string, partitions?: number): Promise<Topic<Buffer>>
  /** The broker's folder of partition 0 of a topic. */
  folderOf(topic: string): string
  /** Opens a new connection. */
  open(config: KafkaConfig): Promise<Kafka>
  release(): Promise<void>
}

export const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')

export async function startLinkedBroker(): Promise<LinkedBroker> {
  const folder = makeBrokerFolder()
  const dataDir = folder.path
  const [ports, others] = [await freePorts(1), await freePorts(1)]
  const link = await openTcpProxy({ port: ports.kafka[0] ?? 0 })
  const [server] = createKafka({
    ...{ dataDir, storeDir: join(dataDir, 'store'), jarsDir },
    ...{ ports: ports.kafka, controllerPorts: ports.controller },
    links: { advertisedPorts: [link.port], replicationPorts: others.kafka },
    onCrash: (fault) => log.error(fault),
  })
  if (!server) throw new Error('no broker')
  await server.start()
  const [linked, direct] = [kafkaAt([link.port]), kafkaAt(others.kafka)]
  const admin = await openAdmin({ config: direct, log, name: 'test' })
  const { events, deadLetters } = topology()
  await admin.ensureTopics([events, deadLetters], 1)

  return {
    ...{ server, link, linked, direct, admin },
    async makeTopic(name, partitions = 1) {
      const topic = { ...deadLetters, name, partitions }
      await admin.ensureTopics([topic], 1)
      return topic
    },
    folderOf: (topic) => join(dataDir, 'store', 'kafka', 'data', `${topic}-0`),
    open: (config) =>
      openKafka({
        ...{ config, codec: openCodec(config), log, health: new Health(), name: 'test' },
        fail: (err) => log.error({ err }),
      }),
    async release() {
      await admin.close()
      await server.stop()
      await link.close()
      folder.remove()
    },
  }
}
