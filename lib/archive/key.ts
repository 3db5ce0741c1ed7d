/** What an archive object's key says. */
export interface ArchiveKey {
  topic: string
  partition: number
  firstOffset: number
  /** UTC date of the first record, `YYYY-MM-DD`. */
  date: string
}

const offsetDigits = 20
const keyPattern = /(?:^|\/)topic=([\w.-]+)\/date=(\d{4}-\d{2}-\d{2})\/([\w.-]+)\+(\d+)\+(\d{20})\.avro$/

/** `<prefix>/topic=<topic>/date=<date>/<topic>+<partition>+<first offset>.avro`; `prefix` may be empty. */
export function objectKey(prefix: string, key: ArchiveKey): string {
  return `${partitionPrefix(prefix, key)}${paddedOffset(key.firstOffset)}.avro`
}

/** What the keys of one partition's objects of one date begin with. */
export function partitionPrefix(prefix: string, key: Omit<ArchiveKey, 'firstOffset'>): string {
  return `${topicPrefix(prefix, key.topic)}date=${key.date}/${key.topic}+${key.partition}+`
}

/** What the keys of a topic's objects begin with. */
export function topicPrefix(prefix: string, topic: string): string {
  return `${prefix === '' ? '' : `${prefix}/`}topic=${topic}/`
}

/** Reads a key, or its part after the prefix; null for whatever is no archive object. */
export function parseObjectKey(key: string): ArchiveKey | null {
  const [, topic, date, nameTopic, partition, offset] = keyPattern.exec(key) ?? []
  if (!topic || !date || topic !== nameTopic) return null
  return { topic, date, partition: Number(partition), firstOffset: Number(offset) }
}

/** The date in a topic's sub-folder (`…/date=2026-11-24/`); null for any other folder. */
export function parseDateFolder(folder: string): string | null {
  return /\/date=(\d{4}-\d{2}-\d{2})\/$/.exec(folder)?.[1] ?? null
}

/**
 * UTC date of a record's timestamp in Unix milliseconds. Timestamps come from producers and may be anything:
 * what no four-digit year can hold is put at the nearest end.
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
