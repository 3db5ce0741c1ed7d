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
  /** Where the group's position has to be taken back to, or null if it belongs to this log. */
  rewindTo: number | null
  /** The record before the position, or null if it is gone or nothing was read. */
  last: LastRead | null
}

/** A log that is not the one that a group had read, by topic. */
export interface LogChange {
  topic: string
  verdict: Exclude<LogVerdict, 'same'>
  partitions: number[]
}

export type Assignment = Readonly<Record<string, number[]>>

/**
 * Knows which logs a group reads. An offset alone does not: a topic that is deleted and made again begins at 0, and
 * a broker that lost its tail gives offsets a second time. So every commit says which record it follows, in which
 * topic by id, and a generation begins with a look at both.
 */
export class LogGuard {
  readonly #group: string
  readonly #reader: LogReader
  /**
   * Positions of the present assignment, by partition. With a topic Kafka deletes the offsets that were committed
   * in it: this process still knows then that it had read another log.
   */
  #positions = new Map<string, LogPosition>()

  constructor(group: string, client: ClientOptions) {
    this.#group = group
    this.#reader = openLogReader(client)
  }

  /** Looks at the logs of an assignment. @throws RetriableError when Kafka does not answer */
  async check(assignment: Assignment): Promise<{ logs: AssignedLog[]; changes: LogChange[] }> {
    const topics = Object.keys(assignment)
    const wanted = topics.flatMap((topic) =>
      (assignment[topic] ?? []).map((partition) => ({ topic, partition })),
    )
    // A member may get nothing: there are more of them than partitions.
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
      // Without a committed offset the client begins at the start by itself.
      log: {
        ...{ topic, partition, topicId },
        rewindTo: stays || !isCommitted ? null : start,
        last: stays && found ? { ...found, offset } : null,
      },
      position: stays ? { ...known, topicId } : { position: start, topicId, last: null },
    }
  }

  /**
   * Whether records go on where the last ones ended. A broker that lost its tail writes under a higher epoch, at
   * offsets that were read before: then the record before must still be there.
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

  /** Whether a record that was read is still in its log; what cannot be known counts as yes. */
  async stillHas(topic: string, partition: number, { offset, mark }: LastRead): Promise<boolean> {
    const { start, end } = (await this.#reader.readEnds(topic, [partition])).get(partition) ?? {
      start: 0,
      end: 0,
    }
    if (offset >= end) return false
    const found = offset < start ? null : await this.#reader.readRecord(topic, partition, offset)
    return found === null || sameMark(found.mark, mark)
  }

  /** Whether topics were made again since these logs were looked at. */
  async isReplaced(logs: Iterable<AssignedLog>): Promise<boolean> {
    const known = [...logs].filter((log) => log.topicId !== null)
    const ids = await this.#reader.readTopicIds([...new Set(known.map((log) => log.topic))])
    // A topic that is gone for now has no id: whether it comes again is seen later.
    return known.some(({ topic, topicId }) => (ids.get(topic) ?? topicId) !== topicId)
  }

  /** Takes note of a commit. */
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
