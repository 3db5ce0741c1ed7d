import type { ClientOptions } from './client.ts'
import type { FetchedMessage } from './kafkajs-cluster.ts'
import { toRawRecord } from './kafkajs-record.ts'
import type { LogIdentity, LogPosition, LogVerdict } from './log-mark.ts'
import { judgeLog, parseCommitText, sameMark, toMark } from './log-mark.ts'
import type { LogReader, MarkedRecord } from './log-reader.ts'
import { epochOf, openLogReader } from './log-reader.ts'

/** The last record that was read of a log. */
export interface LastRead extends MarkedRecord {
  offset: number
}

/** A partition's log at the beginning of a generation. */
export interface AssignedLog {
  topic: string
  partition: number
  topicId: string | null
  /** The offset to rewind the group's position to, or null if the position belongs to this log. */
  rewindTo: number | null
  /** The record before the position, or null if it is gone or nothing was read. */
  last: LastRead | null
}

/** Partitions of a topic whose log is not the one that a group had read. */
export interface LogChange {
  topic: string
  verdict: Exclude<LogVerdict, 'same'>
  partitions: number[]
}

export type Assignment = Readonly<Record<string, number[]>>

/**
 * Knows which logs a group reads. An offset alone does not identify a log: a topic that is deleted and created again
 * begins at 0, and a broker that lost its tail assigns the same offsets again. So every commit holds the topic's id
 * and a mark of the record before the offset, and each generation begins with a check of both.
 */
export class LogGuard {
  readonly #group: string
  readonly #reader: LogReader
  /**
   * Positions of the present assignment, by partition. When a topic is deleted, Kafka deletes its committed offsets; by
   * these positions this process still knows that it had read another log.
   */
  #positions = new Map<string, LogPosition>()

  constructor(group: string, client: ClientOptions) {
    this.#group = group
    this.#reader = openLogReader(client)
  }

  /** Checks the logs of an assignment. @throws RetriableError when Kafka does not answer */
  async check(assignment: Assignment): Promise<{ logs: AssignedLog[]; changes: LogChange[] }> {
    const topics = Object.keys(assignment)
    const wanted = topics.flatMap((topic) =>
      (assignment[topic] ?? []).map((partition) => ({ topic, partition })),
    )
    // With more members than partitions, a member gets none.
    const [ids, committed] =
      wanted.length === 0
        ? [new Map<string, string>(), []]
        : await Promise.all([
            this.#reader.readTopicIds(topics, true),
            this.#reader.readCommitted(this.#group, wanted),
          ])
    const positions = new Map(
      committed.map((c) => [nameOf(c), { position: c.offset, ...parseCommitText(c.text) }]),
    )
    const judged = topics.map(async (topic) => {
      const topicId = ids.get(topic) ?? null
      const ends = await this.#reader.readEnds(topic, assignment[topic] ?? [])
      return Promise.all(
        [...ends].map(([partition, end]) => {
          const name = nameOf({ topic, partition })
          const own = positions.get(name) ?? null
          const known = own ?? this.#positions.get(name) ?? { position: end.start, topicId, last: null }
          return this.#judge({ topic, partition, topicId, ...end }, known, own !== null)
        }),
      )
    })
    const checked = (await Promise.all(judged)).flat()
    this.#positions = new Map(checked.map(({ log, position }) => [nameOf(log), position]))
    return { logs: checked.map(({ log }) => log), changes: toChanges(checked) }
  }

  async #judge(
    of: { topic: string; partition: number; topicId: string | null; start: number; end: number },
    known: LogPosition,
    isCommitted: boolean,
  ) {
    const { topic, partition, topicId, start, end } = of
    const offset = known.position - 1
    const isThere = offset >= start && offset < end
    const found = isThere ? await this.#reader.readRecord(topic, partition, offset) : null
    const verdict = judgeLog(known, { topicId, start, end, before: found?.mark ?? null })
    const stays = verdict === 'same'
    return {
      verdict,
      // Without a committed offset kafkajs begins at the start by itself.
      log: {
        ...{ topic, partition, topicId },
        rewindTo: stays || !isCommitted ? null : start,
        last: stays && found ? { ...found, offset } : null,
      },
      position: stays ? { ...known, topicId } : { position: start, topicId, last: null },
    }
  }

  /**
   * Whether records continue the log that was read before. A broker that lost its tail writes at the same offsets
   * again, under a higher leader epoch. So when the epoch rises, the last record that was read must still be there.
   */
  async follows(log: AssignedLog, messages: readonly FetchedMessage[]): Promise<boolean> {
    const [first] = messages
    const final = messages.at(-1)
    if (!first || !final) return true
    const { topic, partition, last } = log
    if (last && epochOf(first) > last.epoch && !(await this.stillHas(topic, partition, last))) return false
    const mark = toMark(toRawRecord(topic, partition, final))
    log.last = { offset: Number(final.offset), mark, epoch: epochOf(final) }
    return true
  }

  /** Whether a record that was read is still in its log; true if that cannot be known. */
  async stillHas(topic: string, partition: number, { offset, mark }: LastRead): Promise<boolean> {
    const { start, end } = (await this.#reader.readEnds(topic, [partition])).get(partition) ?? {
      start: 0,
      end: 0,
    }
    if (offset >= end) return false
    const found = offset < start ? null : await this.#reader.readRecord(topic, partition, offset)
    return found === null || sameMark(found.mark, mark)
  }

  /** Whether any topic was created again since {@link check}. */
  async isReplaced(logs: Iterable<AssignedLog>): Promise<boolean> {
    const known = [...logs].filter((log) => log.topicId !== null)
    const ids = await this.#reader.readTopicIds([...new Set(known.map((log) => log.topic))])
    // A deleted topic has no id; a later call sees whether it was created again.
    return known.some(({ topic, topicId }) => (ids.get(topic) ?? topicId) !== topicId)
  }

  /** Notes a commit. */
  committed(topic: string, partition: number, position: number, identity: LogIdentity): void {
    this.#positions.set(nameOf({ topic, partition }), { position, ...identity })
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }
}

function toChanges(checked: readonly { log: AssignedLog; verdict: LogVerdict }[]): LogChange[] {
  const changed = checked.flatMap(({ log, verdict }) => (verdict === 'same' ? [] : [{ ...log, verdict }]))
  return [...Map.groupBy(changed, ({ topic, verdict }) => `${topic} ${verdict}`).values()].flatMap((list) => {
    const [first] = list
    return first
      ? [{ topic: first.topic, verdict: first.verdict, partitions: list.map((l) => l.partition) }]
      : []
  })
}

const nameOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
