import type { Command } from 'commander'
import { openCodec } from '../lib/codec.ts'
import { parseEnv, s3Config, s3Env } from '../lib/config.ts'
import type { OffsetRange } from '../lib/kafka/read-range.ts'
import { readRange } from '../lib/kafka/read-range.ts'
import type { DecodedRecord } from '../lib/kafka/record.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import type { Postgres } from '../lib/postgres.ts'
import { openS3 } from '../lib/s3.ts'
import type { SpotifyResponse, Topic } from '../lib/topology.ts'
import type { Account, Claims, DeadRecords, Evidence, PageClaim } from '../operations/audit/account.ts'
import { addClaims, emptyAccount, maxFaults } from '../operations/audit/account.ts'
import type { Coverage } from '../operations/audit/archive.ts'
import { readCoverage } from '../operations/audit/archive.ts'
import { digestsOf, toClaims } from '../operations/audit/claims.ts'
import { readDead, readLogs, readNamed, readReportedBy, readStoredBy } from '../operations/audit/evidence.ts'
import type { Broker } from '../operations/operator.ts'
import { readErasedUsers } from '../operations/rerun/erased.ts'
import { toAuditLines, toVerdict } from './audit/screen.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { parseMoment } from './terminal/moment.ts'

interface Options {
  since?: Date
  archive: boolean
}

/** A count of everything that entered in a range, and of where it ended. */
export interface Audit {
  records: number
  /** Records that the loader has not taken yet. */
  waiting: number
  account: Account
  /** By topic; null: not looked at. */
  archive: Record<string, Coverage> | null
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Counts again what entered the stream and where it ended: every item of every page is stored, a duplicate, dropped by name, rejected, or in a dead letter; every record is in the archive. Says in one line whether it adds up.',
    )
    .option('--since <moment>', 'only records from then on: 7d, 90m or 2026-11-24T08:15', parseMoment)
    .option('--no-archive', 'leave the archive out')
  act<Options>(command, run, audit)
  examples(command, ['songswap audit', 'songswap audit --since 1d', 'songswap audit --since 7d --json'])
  notes(command, [
    'Reads beside the live groups and moves nothing. What the loader or the archiver have not come to yet counts as waiting, not as a fault.',
    'Looks both ways: every item of a page must have its row, its rejection or its dead letter, and every row that names a page must stand on it. Where a parser was mended since, rows that it would not write are such faults; songswap replay brings them in order.',
    'Exits with 1 when something does not add up; each line then names the partition and offset, of the first 1,000 faults.',
  ])
}

async function audit(context: CliContext, options: Options): Promise<number> {
  const { out } = context
  const [sql, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const signal = context.interruption()
  const { recentlyPlayed, metadata, groups } = broker.topology
  const ends = await rangesOf(broker, recentlyPlayed, options.since)
  const { partitions } = await broker.admin.readGroupLag(groups.loaderHistory, [recentlyPlayed.name])
  const taken = new Map(partitions.map((p) => [p.partition, p.committed ?? p.start]))
  const ranges = ends.map((r) => ({
    ...r,
    to: Math.max(r.from, Math.min(r.to, taken.get(r.partition) ?? r.from)),
  }))

  const account = await countItems({ broker, sql, ranges, signal, progress: context.progress })
  const archive = options.archive
    ? await coverTopics(context, broker, [recentlyPlayed, metadata], options.since)
    : null
  if (signal.aborted) return exitCodes.fault
  const result: Audit = { records: sizeOf(ends), waiting: sizeOf(ends) - sizeOf(ranges), account, archive }
  const verdict = toVerdict(result)
  if (out.json) out.printJson({ ...result, addsUp: verdict.addsUp })
  else out.print(toAuditLines(result, out.width).join('\n'))
  return verdict.addsUp ? exitCodes.stopped : exitCodes.fault
}

/** What the topic has from a moment on. */
async function rangesOf({ admin }: Broker, topic: Topic, since: Date | undefined): Promise<OffsetRange[]> {
  const ends = (await admin.readEnds(topic.name)) ?? []
  const starts = since ? await admin.readOffsetsAt(topic.name, since.getTime()) : new Map<number, number>()
  return ends.map(({ partition, start, end }) => ({
    partition,
    from: Math.max(start, starts.get(partition) ?? start),
    to: end,
  }))
}

async function countItems(of: {
  broker: Broker
  sql: Postgres
  ranges: OffsetRange[]
  signal: AbortSignal
  progress: CliContext['progress']
}): Promise<Account> {
  const { broker, sql, ranges, signal } = of
  const { client, topology } = broker
  const topic = topology.recentlyPlayed
  const group = topology.groups.loaderHistory
  const codec = openCodec(client.config)
  const dead = await readDead(broker, { topic: topic.name, group, signal })
  const erased = await readErasedUsers(sql)
  const isCounted = isWithin(ranges)
  const logs = await readLogs(sql, topic.name)
  const sureTime = Date.now()
  const account = emptyAccount()
  const progress = of.progress({ total: sizeOf(ranges), unit: 'records' })
  await readRange({
    ...client,
    topic: topic.name,
    group: `${client.config.prefix}songswap-audit-${crypto.randomUUID()}`,
    ranges,
    signal,
    onRecords: async (records) => {
      const decoded: DecodedRecord<SpotifyResponse>[] = []
      for (const record of records) {
        decoded.push({ ...record, decoded: await codec.decode<SpotifyResponse>(record.bytes) })
      }
      const batch = decoded.map((record) => toClaims(record, { group, erased, logs, sureTime }))
      addClaims(account, batch, { ...(await readEvidence(sql, { batch, decoded, dead })), isCounted })
      progress.add(records.length)
    },
  })
  progress.end()
  return account
}

async function readEvidence(
  sql: Postgres,
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
  // Before an item is judged to be missing: what a page shows may have been rejected when it came.
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

async function coverTopics(
  { env, scope }: CliContext,
  broker: Broker,
  topics: Topic[],
  since: Date | undefined,
): Promise<Record<string, Coverage>> {
  const config = s3Config(parseEnv(s3Env, env))
  const archive = { s3: await scope.use(openS3(config), 's3'), prefix: config.prefix }
  const covered: Record<string, Coverage> = {}
  for (const topic of topics) {
    const sum: Coverage = { archived: 0, waiting: 0, faults: [] }
    const { partitions } = await broker.admin.readGroupLag(broker.topology.groups.archiver, [topic.name])
    const committed = new Map(partitions.map((p) => [p.partition, p.committed]))
    for (const range of await rangesOf(broker, topic, since)) {
      const { archived, waiting, faults } = await readCoverage(archive, topic.name, {
        ...range,
        isCompacted: topic.cleanup !== 'delete',
        committed: committed.get(range.partition) ?? null,
      })
      sum.archived += archived
      sum.waiting += waiting
      sum.faults.push(...faults)
    }
    const more = sum.faults.length - maxFaults
    covered[topic.name] =
      more > 0 ? { ...sum, faults: sum.faults.slice(0, maxFaults), moreFaults: more } : sum
  }
  return covered
}

const sizeOf = (ranges: readonly OffsetRange[]) => ranges.reduce((n, r) => n + r.to - r.from, 0)
