import pLimit from 'p-limit'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import {
  archiveDate,
  byPlace,
  objectKey,
  parseDateFolder,
  parseObjectKey,
  topicPrefix,
} from '../../lib/archive/key.ts'
import type { S3 } from '../../lib/s3.ts'

/** Which earlier listings may be used. */
export interface Freshness {
  /** Listings from before this moment (by `performance.now()`) are repeated. */
  after: number
  /** Those of past dates too; otherwise a past date is listed only once. */
  past: boolean
}

/** Objects of a date by partition: first offset and incarnation in turn. Plain numbers, as a year has millions. */
type DateListing = ReadonlyMap<number, readonly number[]>

interface Listed<T> {
  begunAt: number
  answer: Promise<T>
}

/** Limits the concurrent requests of all listings of the process. */
const limit = pLimit(16)
const dayMs = 86_400_000

/**
 * Lists the keys of an archive for one process: each date once for all partitions, and the last two days again for
 * each term. No date is left out, because dates come from producers' clocks and need not rise with the offsets.
 *
 * Another process may put an object under a past date after it was listed here. A caller that needs a past date to be
 * complete sets {@link Freshness.past}.
 */
export class ArchiveListing {
  readonly #s3: S3
  readonly #prefix: string
  readonly #folders = new Map<string, Listed<string[]>>()
  readonly #dates = new Map<string, Listed<DateListing>>()

  constructor(s3: S3, prefix: string) {
    this.#s3 = s3
    this.#prefix = prefix
  }

  /**
   * The objects of one partition by incarnation and first offset.
   *
   * @param freshness everything is listed again if absent
   */
  async list(
    topic: string,
    partition: number,
    { after, past }: Freshness = { after: performance.now(), past: true },
  ): Promise<ArchiveKey[]> {
    const dates = await listOnce(this.#folders, topic, after, () => this.#listFolders(topic))
    const recent = archiveDate(Date.now() - dayMs)
    const perDate = await Promise.all(
      dates.map(async (date) => {
        const least = past || date >= recent ? after : Number.NEGATIVE_INFINITY
        const listing = await listOnce(this.#dates, `${topic}/${date}`, least, () =>
          limit(() => this.#listDate(topic, date)),
        )
        return toKeys({ topic, partition, date }, listing.get(partition) ?? [])
      }),
    )
    return perDate.flat().sort(byPlace)
  }

  async #listFolders(topic: string): Promise<string[]> {
    const dates: string[] = []
    for await (const folder of this.#s3.folders(topicPrefix(this.#prefix, topic))) {
      const date = parseDateFolder(folder)
      if (date) dates.push(date)
    }
    return dates
  }

  async #listDate(topic: string, date: string): Promise<DateListing> {
    const found = new Map<number, number[]>()
    for await (const path of this.#s3.list(`${topicPrefix(this.#prefix, topic)}date=${date}/`)) {
      const key = parseObjectKey(path)
      // Skips foreign files in the folder, and objects of another prefix.
      if (!key || path !== objectKey(this.#prefix, { ...key, topic, date })) continue
      const numbers = found.get(key.partition) ?? []
      numbers.push(key.firstOffset, key.incarnation ?? 0)
      found.set(key.partition, numbers)
    }
    return found
  }
}

/** Shares an answer asked for after a moment, or asks; a failure is forgotten. */
function listOnce<T>(
  known: Map<string, Listed<T>>,
  name: string,
  after: number,
  ask: () => Promise<T>,
): Promise<T> {
  const listed = known.get(name)
  if (listed && listed.begunAt >= after) return listed.answer
  const next = { begunAt: performance.now(), answer: ask() }
  known.set(name, next)
  next.answer.catch(() => {
    if (known.get(name) === next) known.delete(name)
  })
  return next.answer
}

function toKeys(of: Omit<ArchiveKey, 'firstOffset'>, numbers: readonly number[]): ArchiveKey[] {
  const keys: ArchiveKey[] = []
  for (let i = 0; i < numbers.length; i += 2) {
    const [firstOffset = 0, incarnation = 0] = [numbers[i], numbers[i + 1]]
    keys.push({ ...of, firstOffset, ...(incarnation > 0 && { incarnation }) })
  }
  return keys
}
