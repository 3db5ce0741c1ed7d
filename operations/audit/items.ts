import type { OffsetRange } from '../../lib/kafka/read-range.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Broker } from '../operator.ts'
import { readErasedUsers } from '../rerun/erased.ts'
import type { Claims, DeadRecords, Evidence, PageClaim } from './account.ts'
import { addClaims, emptyAccount } from './account.ts'
import { digestsOf, toClaims } from './claims.ts'
import { readDead, readLogs, readNamed, readReportedBy, readStoredBy } from './evidence.ts'
import type { Account } from './report.ts'

/** Counts the items of the pages in ranges of the topic, and finds where each ended. */
export async function countItems(
  broker: Broker,
  sql: Sql,
  {
    ranges,
    signal,
    onRecords,
  }: { ranges: OffsetRange[]; signal: AbortSignal; onRecords: (n: number) => void },
): Promise<Account> {
  const { client, topology, codec } = broker
  const topic = topology.recentlyPlayed.name
  const group = topology.groups.loaderHistory
  const dead = await readDead(broker, { topic, group, signal })
  const erased = await readErasedUsers(sql)
  const isCounted = isWithin(ranges)
  const logs = await readLogs(sql, topic)
  const sureTime = Date.now()
  const account = emptyAccount()
  await readRange({
    ...{ ...client, topic, ranges, signal },
    group: `${client.config.prefix}songswap-audit-${crypto.randomUUID()}`,
    onRecords: async (records) => {
      const decoded: DecodedRecord<SpotifyResponse>[] = []
      for (const record of records) {
        decoded.push({ ...record, decoded: await codec.decode<SpotifyResponse>(record.bytes) })
      }
      const batch = decoded.map((record) => toClaims(record, { group, erased, logs, sureTime }))
      addClaims(account, batch, { ...(await readEvidence(sql, { batch, decoded, dead })), isCounted })
      onRecords(records.length)
    },
  })
  return account
}

async function readEvidence(
  sql: Sql,
  of: { batch: readonly Claims[]; decoded: readonly DecodedRecord<SpotifyResponse>[]; dead: DeadRecords },
): Promise<Omit<Evidence, 'isCounted'>> {
  const { batch, decoded, dead } = of
  const plays = batch.flatMap(({ plays, page }, i) =>
    plays.map((claim) => ({ claim, page, record: decoded[i] })),
  )
  const rejects = batch.flatMap(({ rejects, page }) => rejects.map((claim) => ({ claim, page })))
  const [storedBy, reportedBy, named] = await Promise.all([
    readStoredBy(sql, plays),
    readReportedBy(sql, rejects),
    readNamed(
      sql,
      batch.flatMap(({ page }) => page ?? []),
    ),
  ])
  // A play without a row is not missing if the loader rejected its item when it came.
  const doubted = plays
    .filter((_, i) => storedBy[i] === null)
    .flatMap(({ claim, page, record }) =>
      (record ? digestsOf(record, claim) : []).map((digest) => ({
        ...{ play: claim, page, claim: { userId: claim.userId, digest } },
      })),
    )
  const rejectedBy = await readReportedBy(sql, doubted)
  const wasRejected = new Set(doubted.filter((_, i) => rejectedBy[i] !== null).map(({ play }) => play))
  return { storedBy, reportedBy, named, wasRejected, dead }
}

function isWithin(ranges: readonly OffsetRange[]): (page: PageClaim) => boolean {
  return ({ partition, offset }) =>
    ranges.some((r) => r.partition === partition && offset >= r.from && offset < r.to)
}
