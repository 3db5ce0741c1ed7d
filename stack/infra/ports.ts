import { createServer } from 'node:net'
import { StackFault } from './stack-fault.ts'

/** Ports on 127.0.0.1; `kafka` and `controller` have one per broker. */
export interface Ports {
  kafka: number[]
  controller: number[]
  registry: number
  s3: number
  postgres: number
}

/**
 * The documented ports, each overridable by the environment: STACK_KAFKA_PORT, STACK_CONTROLLER_PORT,
 * STACK_REGISTRY_PORT, STACK_S3_PORT, STACK_POSTGRES_PORT. Each further broker has the next two ports.
 *
 * @throws StackFault if a setting is not a port, or a port is taken.
 */
export async function documentedPorts(env: NodeJS.ProcessEnv, brokers: number): Promise<Ports> {
  const each = (first: number) => Array.from({ length: brokers }, (_, index) => first + 2 * index)
  const ports = {
    kafka: each(portSetting(env, 'STACK_KAFKA_PORT', 19092)),
    controller: each(portSetting(env, 'STACK_CONTROLLER_PORT', 19093)),
    registry: portSetting(env, 'STACK_REGISTRY_PORT', 18080),
    s3: portSetting(env, 'STACK_S3_PORT', 19000),
    postgres: portSetting(env, 'STACK_POSTGRES_PORT', 15432),
  }
  const required: RequiredPort[] = [
    ...ports.kafka.map((port) => ({ port, what: 'Kafka', setting: 'STACK_KAFKA_PORT' })),
    ...ports.controller.map((port) => ({
      port,
      what: "Kafka's controller",
      setting: 'STACK_CONTROLLER_PORT',
    })),
    { port: ports.registry, what: 'the schema registry', setting: 'STACK_REGISTRY_PORT' },
    { port: ports.s3, what: 'the S3 server', setting: 'STACK_S3_PORT' },
    { port: ports.postgres, what: 'Postgres', setting: 'STACK_POSTGRES_PORT' },
  ]
  for (const one of required) await requireFree(one)
  return ports
}

/** Ports that are free now, for a stack with this number of brokers. */
export async function freePorts(brokers: number): Promise<Ports> {
  const [registry = 0, s3 = 0, postgres = 0, ...rest] = await findFreePorts(3 + 2 * brokers)
  return { kafka: rest.slice(0, brokers), controller: rest.slice(brokers), registry, s3, postgres }
}

/** `count` different ports that are free now. */
export async function findFreePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}

/**
 * A free port from 20000 to 29999. Systems take the local ports of outgoing connections from above this range, so
 * the port stays free while its server restarts.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if (await isFree(port)) return port
  }
}

/** @throws StackFault */
export function portSetting(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new StackFault(`${name} must be a port number from 1 to 65535, not "${text}".`)
}

export interface RequiredPort {
  port: number
  what: string
  /** Name of the variable that sets another port. */
  setting: string
}

/** @throws StackFault when the port is taken. */
export async function requireFree({ port, what, setting }: RequiredPort): Promise<void> {
  if (await isFree(port)) return
  throw new StackFault(
    `Port ${port} for ${what} is taken: stop what listens there, or choose another port with ${setting}.`,
  )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
