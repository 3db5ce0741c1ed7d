import { RetriableError } from '../../lib/errors.ts'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import { faultLetter, sift } from '../../lib/kafka/handler-sink.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import type { PartitionSink, Settled } from '../../lib/kafka/sink.ts'
import type { MetadataRequest } from '../../lib/topology.ts'
import type { TicketPool } from './pool.ts'
import type { RecordTicket } from './ticket.ts'
import { toTicket } from './ticket.ts'
import type { Checked } from './wanted.ts'
import { checkRequest } from './wanted.ts'

/** The most open tickets of a partition. */
const ticketsMax = 500
/** How long a batch waits for room before its partition pauses. */
const roomWithinMs = 30_000
const roomRetryMs = 60_000

/**
 * The requests of one partition. They are answered in any order (a pause of one source does not hold up the other),
 * but the offset moves only up to the first open one. After a kill the records after it are read again; those whose
 * answer is stored by then cost nothing.
 */
export function openWantedSink(options: {
  pool: TicketPool
  group: string
  signal: AbortSignal
}): PartitionSink<MetadataRequest> {
  const { pool, group, signal } = options
  let tickets: RecordTicket[] = []
  let taken: number | null = null
  let returned: number | null = null

  async function awaitRoom(count: number): Promise<void> {
    const until = performance.now() + roomWithinMs
    let seen = pool.version
    while (tickets.length > 0 && openTickets().length + count > ticketsMax) {
      if (signal.aborted || performance.now() > until) {
        throw new RetriableError('Metadata requests wait for answers', { retryAfterMs: roomRetryMs })
      }
      await pool.waitForChange(seen, { withinMs: until - performance.now(), signal })
      seen = pool.version
    }
  }

  const openTickets = () => tickets.filter((t) => t.state === 'open')

  function settle(deadLetters: DeadLetter[] = []): Settled {
    for (const { state, deadLetter, record } of tickets) {
      if (state === 'done' && deadLetter) deadLetters.push({ record, ...deadLetter })
    }
    tickets = openTickets()
    const through = tickets[0] ? tickets[0].record.offset - 1 : taken
    if (through === null || through === returned) return { through: null, deadLetters }
    returned = through
    return { through, deadLetters }
  }
  return {
    async write(records) {
      await awaitRoom(records.length)
      const { values, deadLetters } = sift(records, group)
      const fresh: RecordTicket[] = []
      for (const record of values) {
        const checked = check(record)
        if (checked.type === 'wanted') fresh.push(toTicket(checked.wanted, record, performance.now()))
        else deadLetters.push({ record, reason: checked.reason, message: checked.message })
      }
      // Everything before the first record is settled already.
      if (returned === null && records[0]) returned = records[0].offset - 1
      taken = records.at(-1)?.offset ?? taken
      tickets.push(...fresh)
      pool.add(fresh)
      return settle(deadLetters)
    },
    tick: async () => settle(),
    async close() {
      pool.withdraw(tickets)
    },
  }
}

/** Never throws: a record that breaks the check itself becomes a dead letter and does not hold up others. */
function check(record: ValueRecord<MetadataRequest>): Checked {
  try {
    return checkRequest(record)
  } catch (error) {
    const { reason, message } = faultLetter(record, error)
    return { type: 'dead-letter', reason, message }
  }
}
