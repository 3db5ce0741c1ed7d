import { isRecordFault, messageOf, overRecords } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { DeadLetter } from './dead-letter.ts'
import { redriveGroupHeader } from './dead-letter.ts'
import type { DecodedRecord, RawRecord, ValueRecord } from './record.ts'
import { headerText } from './record.ts'
import type { Handler, PartitionSink, Settled } from './sink.ts'

/**
 * A sink that hands each batch to a handler and settles all of it at once. Undecodable records become dead
 * letters here; records redriven to another group are skipped.
 */
export function handlerSink<V>(options: {
  group: string
  handler: Handler<V>
  log: Logger
  signal: AbortSignal
}): PartitionSink<V> {
  const { group, handler, log, signal } = options
  const nothing: Settled = { through: null, deadLetters: [] }
  const handle = (records: ValueRecord<V>[]) => overRecords(() => handler(records))(signal)

  return {
    isRepeatable: true,
    async write(records) {
      const { values, deadLetters } = sift(records, group)
      if (values.length > 0) deadLetters.push(...(await bisect(values, handle, log)))
      return { through: records.at(-1)?.offset ?? null, deadLetters }
    },
    tick: async () => nothing,
    close: async () => undefined,
  }
}

/** Separates the records for the handler from those that cannot be decoded; drops those redriven to another group. */
export function sift<V>(
  records: DecodedRecord<V>[],
  group: string,
): { values: ValueRecord<V>[]; deadLetters: DeadLetter[] } {
  const values: ValueRecord<V>[] = []
  const deadLetters: DeadLetter[] = []
  for (const { decoded, ...record } of records) {
    const redrivenTo = headerText(record, redriveGroupHeader)
    if (redrivenTo !== null && redrivenTo !== group) continue
    if (decoded.type === 'value') values.push({ ...record, value: decoded.value })
    else deadLetters.push({ record, reason: decoded.reason, message: decoded.message })
  }
  return { values, deadLetters }
}

/** The dead letter of a record that makes the program itself fail. */
export function faultLetter(record: RawRecord, error: unknown): DeadLetter {
  return { record, reason: 'handler_error', message: messageOf(error) }
}

/**
 * Handles records. When they are to blame for a failure, halves the batch until it finds the single records that
 * reproduce it, and dead-letters those. Keeps the order. A half that succeeded may be handled again after a later
 * outage, so effects must be idempotent.
 *
 * @throws outages, unchanged
 */
async function bisect<V>(
  records: ValueRecord<V>[],
  handle: (records: ValueRecord<V>[]) => Promise<DeadLetter[]>,
  log: Logger,
): Promise<DeadLetter[]> {
  try {
    return await handle(records)
  } catch (err) {
    if (!isRecordFault(err)) throw err
    const [first] = records
    if (records.length === 1 && first) {
      const { value: _, ...record } = first
      log.error(
        { err, topic: record.topic, partition: record.partition, offset: record.offset },
        'handler_failed',
      )
      return [faultLetter(record, err)]
    }
    const middle = records.length >> 1
    const left = await bisect(records.slice(0, middle), handle, log)
    const right = await bisect(records.slice(middle), handle, log)
    return [...left, ...right]
  }
}
