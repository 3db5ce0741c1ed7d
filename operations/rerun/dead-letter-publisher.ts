import { createClient } from '../../lib/kafka/client.ts'
import { toDeadLetterRecords } from '../../lib/kafka/dead-letter.ts'
import { FloodError, FloodValve, toOutcome } from '../../lib/kafka/flood-valve.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import type { Scope } from '../../lib/scope.ts'
import type { Broker } from '../operator.ts'
import type { FeederOptions } from './feeder.ts'
import type { KnownLetters } from './known-letters.ts'
import { letterKey, readKnownLetters } from './known-letters.ts'
import type { Tally } from './tally.ts'
import { addDeadLetters } from './tally.ts'

export interface DeadLetterPublisherOptions {
  broker: Broker
  scope: Scope
  /** The group that the dead letters name. */
  group: string
  /** If false, dead letters are only counted and listed. */
  publish: boolean
  tally: Tally
}

/**
 * Publishes dead letters as the live group does, behind the same flood valve. Letters that are in their topic already
 * are counted but not published again.
 */
export function deadLetterPublisher(options: DeadLetterPublisherOptions): FeederOptions['onDeadLetters'] {
  const { broker, scope, group, publish, tally } = options
  const valves = new Map<string, FloodValve>()
  let producer: Promise<Producer> | null = null
  let known: KnownLetters | null = null

  return async (letters, { place, records }) => {
    if (letters.length > 0) known ??= await readKnownLetters(broker, group)
    const fresh = letters.filter((letter) => !known?.has(letterKey({ ...letter, group })))
    const valve = valves.get(place) ?? new FloodValve(broker.client.config.flood)
    valves.set(place, valve)
    if (publish && valve.judge(toOutcome(records, fresh)) !== 'pass') throw new FloodError(0)
    if (publish && fresh.length > 0) {
      producer ??= scope.use(
        new Producer({ client: createClient(broker.client), log: broker.client.log }),
        'producer',
      )
      const records = toDeadLetterRecords(fresh, { group, attempts: 1, at: Date.now() })
      await (await producer).publish(broker.topology.deadLetters.name, records)
      for (const letter of fresh) known?.add(letterKey({ ...letter, group }))
    }
    tally.deadKnown += letters.length - fresh.length
    addDeadLetters(tally, letters)
  }
}
