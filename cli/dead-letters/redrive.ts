import type { Command } from 'commander'
import { isRecordFault } from '../../lib/errors.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { redriveHeaders } from '../../lib/kafka/dead-letter.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import type { Topology } from '../../lib/topology.ts'
import { groupTopics } from '../../lib/topology.ts'
import type { ChoiceOptions } from '../../operations/dead-letters/choose.ts'
import { addChoice, decideOn } from '../../operations/dead-letters/choose.ts'
import { decide } from '../../operations/dead-letters/decisions.ts'
import type { Letter } from '../../operations/dead-letters/letter.ts'
import { describe } from '../../operations/fault.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Puts the records of dead letters back on their topics, for the group that failed alone: other groups skip them. The same key, value and headers, so the same partition and schema. Shows what it would do; does it with --execute.',
  )
  addChoice(command).option('--again', 'also those that were redriven before; discarded ones by their place')
  act<ChoiceOptions>(command, run, redrive)
  examples(command, [
    'songswap dead-letters redrive 0/12 --execute',
    'songswap dead-letters redrive --reason invalid_page --since 7d',
    'songswap dead-letters redrive --all --execute',
  ])
  notes(command, [
    'A record that fails again becomes a new dead letter. What was redriven is not redriven again without --again, but a redrive that is killed may have put back up to 500 records that are not noted down yet: they come twice, and the second time changes nothing.',
    'On a compacted topic (spotify.metadata) the record put back is the newest of its key; rows are never turned back by it.',
    'Exits with 1 when some could not be put back, or after Ctrl-C.',
  ])
}

async function redrive(context: CliContext, options: ChoiceOptions, ...places: string[]): Promise<number> {
  let producer: Producer | null = null
  return decideOn(context, {
    places,
    options,
    words: { infinitive: 'Redrive', done: 'redriven' },
    refusal,
    carryOut: async (letters, { broker, sql }) => {
      producer ??= await context.scope.use(
        new Producer({ client: createClient(broker.client), log: context.log }),
        'producer',
      )
      const { published, failed } = await putBack(producer, letters)
      if (published.length > 0) await decide(sql, published, { state: 'redriven', note: null })
      const outage = failed.find((f) => !isRecordFault(f.error))
      if (outage) throw outage.error
      return failed.map((f) => ({ letter: f.letter, reason: describe(f.error) }))
    },
  })
}

/** Why a letter cannot be put back; null: it can. Headers come from anywhere: they name no topic but ours. */
function refusal({ obituary }: Letter, topology: Topology): string | null {
  if (!obituary) return 'no service put it there'
  const topics = groupTopics(topology).get(obituary.group)
  if (!topics) return `there is no group ${obituary.group}`
  if (topics.some((t) => t.name === obituary.topic)) return null
  return `${obituary.group} does not read ${obituary.topic}`
}

/** Publishes; a record that Kafka refuses does not hold up the others. */
async function putBack(
  producer: Producer,
  letters: readonly Letter[],
): Promise<{ published: Letter[]; failed: { letter: Letter; error: unknown }[] }> {
  const outcomes = await Promise.allSettled(letters.map((letter) => publish(producer, letter)))
  const published = letters.filter((_, i) => outcomes[i]?.status === 'fulfilled')
  const failed = letters.flatMap((letter, i) => {
    const outcome = outcomes[i]
    return outcome?.status === 'rejected' ? [{ letter, error: outcome.reason }] : []
  })
  return { published, failed }
}

async function publish(producer: Producer, { record, obituary }: Letter): Promise<void> {
  if (!obituary) return
  const headers = redriveHeaders(record, obituary.group)
  await producer.publish(obituary.topic, [{ key: record.key, value: record.bytes, headers }])
}
