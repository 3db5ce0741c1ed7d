import { isRecordFault } from '../../lib/errors.ts'
import { redriveHeaders } from '../../lib/kafka/dead-letter.ts'
import type { Producer } from '../../lib/kafka/producer.ts'
import type { Topology } from '../../lib/topology.ts'
import { groupTopics } from '../../lib/topology.ts'
import { describe } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { DecideOptions, Failure, LetterChoice } from './decide.ts'
import { decideOn } from './decide.ts'
import { noteDecision } from './decisions.ts'
import type { Letter } from './letter.ts'
import type { DecisionReport } from './report.ts'

/**
 * Puts the records of dead letters back on their topics, each for the group that failed. A process that is killed may
 * leave up to 500 records that are put back but not recorded: the next redrive puts them back again.
 */
export function redrive(
  operator: Operator,
  choice: LetterChoice,
  options: DecideOptions,
): Promise<DecisionReport> {
  const carryOut = (letters: Letter[]) => putBack(operator, letters)
  return decideOn(operator, { refusal, carryOut }, { choice, options })
}

/** Why a letter cannot be put back, or null if it can. Any program can write headers: only our topics are accepted. */
function refusal({ obituary }: Letter, topology: Topology): string | null {
  if (!obituary) return 'no service put it there'
  const topics = groupTopics(topology).get(obituary.group)
  if (!topics) return `there is no group ${obituary.group}`
  if (topics.some((t) => t.name === obituary.topic)) return null
  return `${obituary.group} does not read ${obituary.topic}`
}

/** A record that Kafka refuses does not stop the others. What was published is recorded before an outage is thrown. */
async function putBack(operator: Operator, letters: readonly Letter[]): Promise<Failure[]> {
  const [producer, sql] = await Promise.all([operator.producer(), operator.postgres()])
  const outcomes = await Promise.allSettled(letters.map((letter) => publish(producer, letter)))
  const published = letters.filter((_, i) => outcomes[i]?.status === 'fulfilled')
  if (published.length > 0) await noteDecision(sql, published, { state: 'redriven', note: null })
  return letters.flatMap((letter, i) => {
    const outcome = outcomes[i]
    if (outcome?.status !== 'rejected') return []
    if (!isRecordFault(outcome.reason)) throw outcome.reason
    return [{ letter, reason: describe(outcome.reason) }]
  })
}

async function publish(producer: Producer, { record, obituary }: Letter): Promise<void> {
  if (!obituary) return
  const headers = redriveHeaders(record, obituary.group)
  await producer.publish(obituary.topic, [{ key: record.key, value: record.bytes, headers }])
}
