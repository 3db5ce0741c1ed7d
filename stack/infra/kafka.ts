import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { javaArgs, javaCommand } from './java.ts'
import { createServer, type Server } from './server.ts'
import { StackFault } from './stack-fault.ts'

export interface KafkaOptions {
  dataDir: string
  storeDir: string
  jarsDir: string
  /** Client ports, one per broker; each broker is a controller as well. */
  ports: number[]
  controllerPorts: number[]
  links?: BrokerLinks
  onCrash: (fault: StackFault) => void
}

/** For clients that reach the brokers through proxies; the brokers reach one another directly. */
export interface BrokerLinks {
  /** Ports at which clients connect, one per broker. */
  advertisedPorts: number[]
  /** Ports on which the brokers reach one another, one per broker. */
  replicationPorts: number[]
}

/** Any 16 bytes: clusters of two folders never meet. */
const clusterId = 'c29uZ3N3YXAtc3RyZWFtMQ'

/** Above any page (up to 2 MB before compression): the broker must never limit records. */
const maxRecordBytes = 16 * 1024 * 1024

/** One broker per port, with node ids from 1, not yet started. */
export function createKafka(options: KafkaOptions): Server[] {
  return options.ports.map((_, index) => createBroker(options, index + 1))
}

/** The quorum is static, not in the metadata log, so that the same data can start on other ports. */
function createBroker(options: KafkaOptions, nodeId: number): Server {
  const { dataDir, storeDir, jarsDir, ports } = options
  const folder = join(storeDir, ports.length === 1 ? 'kafka' : `kafka-${nodeId}`)
  const propertiesFile = join(folder, 'server.properties')
  const run = ['-cp', join(jarsDir, 'kafka', '*')]
  return createServer({
    name: ports.length === 1 ? 'kafka' : `kafka-${nodeId}`,
    dataDir,
    command: javaCommand(),
    args: [
      ...javaArgs({ heapMiB: 512, quickStart: false }),
      `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'kafka-log4j2.properties')}`,
      ...run,
      'kafka.Kafka',
      propertiesFile,
    ],
    stopSignal: 'SIGTERM',
    async prepare() {
      mkdirSync(folder, { recursive: true })
      writeFileSync(propertiesFile, toProperties(brokerSettings(options, nodeId, join(folder, 'data'))))
      await format(run, folder, propertiesFile)
    },
    isReady: (log) => log().includes('Kafka Server started'),
    onCrash: options.onCrash,
  })
}

function brokerSettings(
  options: KafkaOptions,
  nodeId: number,
  logDir: string,
): Record<string, string | number> {
  const { ports, controllerPorts, links } = options
  const brokers = ports.length
  const address = (port: number | undefined) => `127.0.0.1:${port}`
  return {
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    'controller.quorum.voters': controllerPorts
      .map((port, index) => `${index + 1}@${address(port)}`)
      .join(','),
    ...listenerSettings({
      client: address(ports[nodeId - 1]),
      controller: address(controllerPorts[nodeId - 1]),
      advertised: links && address(links.advertisedPorts[nodeId - 1]),
      replication: links && address(links.replicationPorts[nodeId - 1]),
    }),
    'log.dirs': logDir,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': brokers,
    'min.insync.replicas': brokers === 1 ? 1 : 2,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': brokers,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': brokers,
    'transaction.state.log.min.isr': brokers === 1 ? 1 : 2,
    'share.coordinator.state.topic.replication.factor': brokers,
    'share.coordinator.state.topic.min.isr': brokers === 1 ? 1 : 2,
    'group.initial.rebalance.delay.ms': 0,
    'message.max.bytes': maxRecordBytes,
    'replica.fetch.max.bytes': maxRecordBytes,
    'socket.request.max.bytes': 128 * 1024 * 1024,
  }
}

function listenerSettings(at: {
  client: string
  controller: string
  advertised: string | undefined
  replication: string | undefined
}): Record<string, string> {
  const replication = at.replication ? `,REPLICATION://${at.replication}` : ''
  return {
    listeners: `PLAINTEXT://${at.client},CONTROLLER://${at.controller}${replication}`,
    'advertised.listeners': `PLAINTEXT://${at.advertised ?? at.client}${replication}`,
    'inter.broker.listener.name': at.replication ? 'REPLICATION' : 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT',
  }
}

/** Formats the folder once: the marker is written only after the tool has finished. */
async function format(run: string[], folder: string, propertiesFile: string): Promise<void> {
  const marker = join(folder, 'formatted')
  if (existsSync(marker)) return
  const args = [...javaArgs({ heapMiB: 128, quickStart: true }), ...run, 'kafka.tools.StorageTool']
  try {
    await promisify(execFile)(javaCommand(), [
      ...args,
      'format',
      '--ignore-formatted',
      '--cluster-id',
      clusterId,
      '--config',
      propertiesFile,
    ])
  } catch (error) {
    throw new StackFault(`Kafka's folder ${folder} could not be formatted: ${(error as Error).message}`)
  }
  writeFileSync(marker, '')
}

function toProperties(settings: Record<string, string | number>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
