import { RetriableError } from '../errors.ts'
import { late, within } from '../time-limit.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import type { BrokerAddress } from './cluster-admin.ts'
import type { VersionRange } from './kafkajs-cluster.ts'
import { createCluster } from './kafkajs-cluster.ts'
import { spokenVersions } from './kafkajs-patches.ts'

/** Versions by Kafka's number of the API. */
export type ApiVersions = ReadonlyMap<number, VersionRange>

const answerWithinMs = 3_000
const disconnectWithinMs = 1_000

/**
 * Asks a broker which versions of its APIs it speaks.
 *
 * @throws RetriableError when it does not say so in time
 */
export async function readApiVersions(client: ClientOptions, broker: BrokerAddress): Promise<ApiVersions> {
  const { host, port } = broker
  // A client of this broker alone, which asks for no metadata: kafkajs would ask for those of all topics.
  const config = { ...client.config, brokers: [`${host}:${port}`] }
  const cluster = createCluster(createClient({ ...client, config }))
  const ask = async () => {
    await cluster.connect()
    return (await cluster.brokerPool.findConnectedBroker()).versions
  }
  try {
    const versions = await within(answerWithinMs, ask())
    if (versions === late) throw new Error('no answer in time')
    return new Map(Object.entries(versions).map(([key, range]) => [Number(key), range]))
  } catch (cause) {
    throw new RetriableError(`${host}:${port} does not say which versions it speaks`, { cause })
  } finally {
    await within(disconnectWithinMs, cluster.disconnect())
  }
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
 * APIs for which client and broker share no version. kafkajs never checks the broker's least version: with a release
 * that drops old ones, call after call would fail.
 */
export function unsharedApis(broker: ApiVersions): string[] {
  return Object.entries(usedApis).flatMap(([name, key]) => {
    const theirs = broker.get(key)
    const ours = spokenVersions(name)
    const least = key === usedApis.Produce ? leastProduce : 0
    const isShared =
      theirs && ours.some((v) => v >= theirs.minVersion && v <= theirs.maxVersion && v >= least)
    return isShared ? [] : [name]
  })
}

/** API, version and the release that introduced it, newest first. */
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

/** The release that a broker has at least, judged by the versions it speaks, or null if it is older than 2.1. */
export function releaseOf(broker: ApiVersions): string | null {
  return releases.find(([api, version]) => (broker.get(api)?.maxVersion ?? -1) >= version)?.[2] ?? null
}
