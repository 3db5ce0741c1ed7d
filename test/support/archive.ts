import { expect } from 'vitest'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import { archiveDate, byPlace, parseObjectKey } from '../../lib/archive/key.ts'
import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import { parseEnv, s3Config, s3Env } from '../../lib/config.ts'
import type { S3 } from '../../lib/s3.ts'
import { openS3 } from '../../lib/s3.ts'

/** Opens the bucket of a world; the test file closes it. */
export function openTestS3(env: Record<string, string>): S3 {
  return openS3(s3Config(parseEnv(s3Env, env)))
}

/**
 * All keys of a world's archive, without the marks of erased users and without the files that S3Proxy is still
 * writing, which it lists under their key and a UUID.
 */
export async function archiveKeys(s3: S3, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of s3.list(`${prefix}/`)) if (!noObject.test(key)) keys.push(key)
  return keys
}

const noObject = /\.avro-[0-9a-f]{8}-[0-9a-f-]{27}$|\/erased\/user=\d+$/

/** One object as it is in the bucket. */
export interface TestObject extends ArchiveKey {
  path: string
  rows: ArchivedRecord[]
}

/**
 * Reads a whole archive and checks its invariants: keys and metadata match the rows, offsets rise, and no two
 * objects of an incarnation overlap.
 */
export async function readWholeArchive(s3: S3, prefix: string): Promise<TestObject[]> {
  const objects: TestObject[] = []
  for (const path of await archiveKeys(s3, prefix)) {
    const key = parseObjectKey(path)
    if (!key) throw new Error(`A foreign key: ${path}`)
    const rows: ArchivedRecord[] = []
    for await (const row of (await readArchive(await s3.get(path))).rows) rows.push(row)
    const [first, last] = [rows[0], rows.at(-1)]
    if (!first || !last) throw new Error(`An empty object: ${path}`)
    expect(parseSummary((await s3.head(path))?.metadata ?? {})).toEqual({
      firstOffset: first.offset,
      lastOffset: last.offset,
      recordCount: rows.length,
      ...(key.incarnation && { incarnation: key.incarnation }),
    })
    const { topic, partition, offset, timestamp } = first
    expect(key).toEqual({ ...key, topic, partition, firstOffset: offset, date: archiveDate(timestamp) })
    objects.push({ ...key, path, rows })
  }
  for (const { topic, partition, rows } of objects) {
    expect(rows.every((r) => r.topic === topic && r.partition === partition)).toBe(true)
  }
  for (const rows of byLog(objects).values()) {
    const offsets = rows.map((r) => r.offset)
    expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b))
  }
  return objects
}

/** Rows of every incarnation of a partition, by `topic/partition/incarnation`. */
function byLog(objects: TestObject[]): Map<string, ArchivedRecord[]> {
  const logs = Map.groupBy(objects, (o) => `${o.topic}/${o.partition}/${o.incarnation ?? 0}`)
  return new Map([...logs].map(([name, list]) => [name, list.toSorted(byPlace).flatMap((o) => o.rows)]))
}

/** Rows of every partition in the order of the objects' first offsets, by `topic/partition`. */
export function byPartition(objects: TestObject[]): Map<string, ArchivedRecord[]> {
  const sorted = objects.toSorted((a, b) => a.firstOffset - b.firstOffset)
  const partitions = Map.groupBy(sorted, (o) => `${o.topic}/${o.partition}`)
  return new Map([...partitions].map(([name, list]) => [name, list.flatMap((o) => o.rows)]))
}

/**
 * Rows of the present log of each partition, by `topic/partition`: an offset belongs to the latest incarnation that
 * begins at or before it.
 */
export function presentRows(objects: TestObject[]): Map<string, ArchivedRecord[]> {
  const partitions = Map.groupBy(objects, (o) => `${o.topic}/${o.partition}`)
  return new Map([...partitions].map(([name, list]) => [name, presentOf(list)]))
}

function presentOf(objects: TestObject[]): ArchivedRecord[] {
  const logs = Map.groupBy(objects, (o) => o.incarnation ?? 0)
  let present: ArchivedRecord[] = []
  for (const incarnation of [...logs.keys()].sort((a, b) => a - b)) {
    const rows = (logs.get(incarnation) ?? []).toSorted(byPlace).flatMap((o) => o.rows)
    const begin = rows[0]?.offset ?? Number.POSITIVE_INFINITY
    present = [...present.filter((row) => row.offset < begin), ...rows]
  }
  return present
}
