import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { RetriableError } from '../errors.ts'
import { spokenVersions } from './kafkajs-patches.ts'

/** Versions of one API, both ends included. */
export interface VersionRange {
  min: number
  max: number
}

/** By Kafka's number of the API. */
export type ApiVersions = ReadonlyMap<number, VersionRange>

const apiVersionsKey = 18
const clientId = Buffer.from('songswap')
const answerLimit = 1 << 16

/**
 * Asks a broker which versions of its APIs it speaks: ApiVersions, version 0, on a connection of its own. It is
 * answered before anybody logs in. kafkajs asks the same and keeps it to itself.
 *
 * @throws RetriableError when nothing comes in time, or what comes is no answer of Kafka's
 */
export async function readApiVersions(broker: {
  host: string
  port: number
  ssl: boolean
  withinMs: number
}): Promise<ApiVersions> {
  const { host, port } = broker
  // A name is sent to the server in the clear (SNI); an address must not be.
  const socket = broker.ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }) })
    : connect({ host, port })
  const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), broker.withinMs)
  try {
    await once(socket, broker.ssl ? 'secureConnect' : 'connect')
    socket.write(toRequest())
    return toApiVersions(await readAnswer(socket))
  } catch (cause) {
    throw new RetriableError(`${host}:${port} does not say which versions it speaks`, { cause })
  } finally {
    clearTimeout(timer)
    socket.on('error', () => undefined).destroy()
  }
}

async function readAnswer(socket: Socket): Promise<Buffer> {
  let answer = Buffer.alloc(0)
  for await (const chunk of socket) {
    answer = Buffer.concat([answer, chunk])
    if (isWhole(answer)) return answer
  }
  throw new Error('the answer breaks off')
}

/** Length, API, version, correlation id, client id. */
function toRequest(): Buffer {
  const request = Buffer.alloc(14 + clientId.length)
  request.writeInt32BE(request.length - 4, 0)
  request.writeInt16BE(apiVersionsKey, 4)
  request.writeInt32BE(1, 8)
  request.writeInt16BE(clientId.length, 12)
  clientId.copy(request, 14)
  return request
}

function isWhole(answer: Buffer): boolean {
  if (answer.length < 4) return false
  const length = answer.readInt32BE(0)
  if (length < 10 || length > answerLimit) throw new Error('what answers is no Kafka')
  return answer.length >= 4 + length
}

/** Length, correlation id, error code, then the number of APIs and three numbers for each. */
function toApiVersions(answer: Buffer): ApiVersions {
  const error = answer.readInt16BE(8)
  if (error !== 0) throw new Error(`error ${error} of Kafka`)
  const versions = new Map<number, VersionRange>()
  for (let i = 0, at = 14; i < answer.readInt32BE(10); i++, at += 6) {
    versions.set(answer.readInt16BE(at), { min: answer.readInt16BE(at + 2), max: answer.readInt16BE(at + 4) })
  }
  return versions
}

/** APIs that the stream uses, by kafkajs's names, with their numbers. */
const usedApis: Readonly<Record<string, number>> = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetCommit: 8,
  OffsetFetch: 9,
  GroupCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  DescribeGroups: 15,
  ListGroups: 16,
  CreateTopics: 19,
  InitProducerId: 22,
  DescribeConfigs: 32,
  AlterConfigs: 33,
  CreatePartitions: 37,
}

/** Records are compressed with zstd: Produce from version 7 on. */
const leastProduce = 7

/**
 * APIs that the client and this broker do not share a version of. kafkajs never looks at the broker's least
 * version: a release that drops old ones would fail call by call.
 */
export function unsharedApis(broker: ApiVersions): string[] {
  return Object.entries(usedApis).flatMap(([name, key]) => {
    const theirs = broker.get(key)
    const ours = spokenVersions(name)
    const least = key === usedApis.Produce ? leastProduce : 0
    const isShared = theirs && ours.some((v) => v >= theirs.min && v <= theirs.max && v >= least)
    return isShared ? [] : [name]
  })
}

/** API, version and the release that brought it, newest first. */
const releases: readonly [number, number, string][] = [
  [0, 13, '4.1'],
  [0, 12, '4.0'],
  [1, 17, '3.9'],
  [1, 16, '3.7'],
  [1, 15, '3.5'],
  [1, 13, '3.1'],
  [1, 12, '2.7'],
  [1, 11, '2.3'],
  [1, 10, '2.1'],
]

/** The release of Kafka that a broker is at least like, judged by what it speaks; null: older than 2.1. */
export function releaseOf(broker: ApiVersions): string | null {
  return releases.find(([api, version]) => (broker.get(api)?.max ?? -1) >= version)?.[2] ?? null
}
