/** The parts of an archive object's key. */
export interface ArchiveKey {
  topic: string
  partition: number
  firstOffset: number
  /** UTC date of the first record, `YYYY-MM-DD`. */
  date: string
  /** Number of the partition's log, from 1 on; absent for the first log, whose keys have no number. */
  incarnation?: number
}

const offsetDigits = 20
const keyPattern =
  /(?:^|\/)topic=([\w.-]+)\/date=(\d{4}-\d{2}-\d{2})\/([\w.-]+)\+(\d+)\+(\d{20})(?:\+([1-9]\d{0,8}))?\.avro$/

/**
 * `<prefix>/topic=<topic>/date=<date>/<topic>+<partition>+<first offset>.avro`, or `…+<incarnation>.avro` from the
 * second log of the partition on; `prefix` may be empty.
 */
export function objectKey(prefix: string, key: ArchiveKey): string {
  const log = key.incarnation ? `+${key.incarnation}` : ''
  return `${partitionPrefix(prefix, key)}${paddedOffset(key.firstOffset)}${log}.avro`
}

/** Prefix of the keys of one partition's objects of one date, in all incarnations. */
export function partitionPrefix(
  prefix: string,
  key: Pick<ArchiveKey, 'topic' | 'partition' | 'date'>,
): string {
  return `${topicPrefix(prefix, key.topic)}date=${key.date}/${key.topic}+${key.partition}+`
}

/** Prefix of the keys of a topic's objects. */
export function topicPrefix(prefix: string, topic: string): string {
  return `${prefix === '' ? '' : `${prefix}/`}topic=${topic}/`
}

/** Parses a key, or its part after the prefix; null if it is not the key of an archive object. */
export function parseObjectKey(key: string): ArchiveKey | null {
  const [, topic, date, nameTopic, partition, offset, incarnation] = keyPattern.exec(key) ?? []
  if (!topic || !date || topic !== nameTopic) return null
  return {
    ...{ topic, date, partition: Number(partition), firstOffset: Number(offset) },
    ...(incarnation && { incarnation: Number(incarnation) }),
  }
}

/** Sorts by partition, incarnation and first offset: the order in which a partition's records were written. */
export function byPlace(a: ArchiveKey, b: ArchiveKey): number {
  return (
    a.partition - b.partition || (a.incarnation ?? 0) - (b.incarnation ?? 0) || a.firstOffset - b.firstOffset
  )
}

/** Identifies one log of a partition. */
type Log = Pick<ArchiveKey, 'topic' | 'partition' | 'incarnation'>

/** Whether two objects belong to the same log, where one ends before the other begins. */
export function sameLog(a: Log, b: Log): boolean {
  const [one, two] = [a, b].map(({ incarnation = 0 }) => incarnation)
  return a.topic === b.topic && a.partition === b.partition && one === two
}

/** The date in a topic's sub-folder (`…/date=2026-11-24/`); null for any other folder. */
export function parseDateFolder(folder: string): string | null {
  return /\/date=(\d{4}-\d{2}-\d{2})\/$/.exec(folder)?.[1] ?? null
}

/**
 * UTC date of a record's timestamp in Unix milliseconds. Producers may send any timestamp: one whose year does not
 * have four digits gets the nearest date that does.
 */
export function archiveDate(timestamp: number): string {
  const bounded = Math.min(Math.max(timestamp, firstDate), lastDate)
  return new Date(bounded).toISOString().slice(0, 10)
}

const firstDate = Date.UTC(1000, 0, 1)
const lastDate = Date.UTC(9999, 11, 31)

/** Padded so that the keys of a folder sort by offset. */
function paddedOffset(offset: number): string {
  return String(offset).padStart(offsetDigits, '0')
}
