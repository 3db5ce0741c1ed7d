import type { Topology } from '../../lib/topology.ts'
import type { Lease } from '../lease.ts'
import { withLease } from '../lease.ts'
import type { Operator, Watch } from '../operator.ts'
import type { Letter, LetterFilter } from './letter.ts'
import { addLetter, matches, stateOf, toPlace } from './letter.ts'
import type { DecisionReport, LetterSummary } from './report.ts'
import { allLetters, namedLetters, readLetters } from './source.ts'

/**
 * Chooses dead letters: those at these places, or the open ones that pass a filter. With `again` also those that were
 * redriven before; discarded ones only by their place.
 */
export type LetterChoice = ({ places: readonly string[] } | { filter: Omit<LetterFilter, 'state'> }) & {
  again?: boolean
}

export interface DecideOptions extends Watch {
  /** If false, the report says what would be done. */
  execute: boolean
}

/** A letter that stays open, and why. */
export interface Failure {
  letter: Letter
  reason: string
}

/** The decision on the chosen letters. */
export interface Decider {
  /** Why this decision is not possible for a letter, or null if it is. */
  refusal: (letter: Letter, topology: Topology) => string | null
  /** Carries the decision out and records it; returns the letters for which that failed. */
  carryOut: (letters: Letter[]) => Promise<Failure[]>
}

/**
 * Reads the chosen dead letters and carries a decision out on each, in the order of the topic. When aborted, it stops
 * between two portions.
 */
export async function decideOn(
  operator: Operator,
  decider: Decider,
  { choice, options }: { choice: LetterChoice; options: DecideOptions },
): Promise<DecisionReport> {
  const { execute, signal } = options
  const [sql, broker] = await Promise.all([operator.postgres(), operator.broker()])
  const ranges = 'places' in choice ? await namedLetters(broker, choice.places) : await allLetters(broker)
  const { prefix } = broker.client.config
  const decisions = new Decisions(decider, { choice, prefix, topology: broker.topology })
  const read = (lease: Lease | null) =>
    readLetters(operator, {
      ...{ ranges, watch: options },
      onLetters: async (letters) => {
        if (!signal.aborted) await decisions.take(letters, lease)
      },
    })
  await (execute ? withLease(sql, { name: 'decide', signal }, read) : read(null))
  return { executed: execute, ...decisions.report(), aborted: signal.aborted }
}

class Decisions {
  readonly #decider: Decider
  readonly #of: { choice: LetterChoice; prefix: string; topology: Topology }
  readonly #summaries = new Map<string, LetterSummary>()
  readonly #failures: Failure[] = []
  readonly #decided: Letter[] = []
  #done = 0

  constructor(decider: Decider, of: { choice: LetterChoice; prefix: string; topology: Topology }) {
    this.#decider = decider
    this.#of = of
  }

  /** @param lease null for a dry run */
  async take(letters: readonly Letter[], lease: Lease | null): Promise<void> {
    const open = this.#choose(letters)
    const refused = open.flatMap((letter) => {
      const reason = this.#decider.refusal(letter, this.#of.topology)
      return reason === null ? [] : [{ letter, reason }]
    })
    const chosen = without(open, refused)
    lease?.assertHeld()
    const failed = lease && chosen.length > 0 ? await this.#decider.carryOut(chosen) : []
    const done = without(chosen, failed)
    this.#failures.push(...refused, ...failed)
    this.#done += done.length
    for (const letter of done) addLetter(this.#summaries, letter)
  }

  report(): Omit<DecisionReport, 'executed' | 'aborted'> {
    return {
      done: this.#done,
      groups: [...this.#summaries.values()],
      failures: this.#failures.map(({ letter, reason }) => ({ place: toPlace(letter.record), reason })),
      decided: this.#decided.map((letter) => ({ place: toPlace(letter.record), state: stateOf(letter) })),
    }
  }

  #choose(letters: readonly Letter[]): Letter[] {
    const { choice, prefix } = this.#of
    const isNamed = 'places' in choice
    const meant = isNamed ? letters : letters.filter((letter) => matches(letter, choice.filter, prefix))
    const isOpen = (letter: Letter) => {
      const state = stateOf(letter)
      // A discarded letter comes back only by its place: a filter does not mean it.
      return state === 'open' || (choice.again && (state === 'redriven' || isNamed))
    }
    if (isNamed) this.#decided.push(...meant.filter((letter) => !isOpen(letter)))
    return meant.filter(isOpen)
  }
}

function without(letters: readonly Letter[], failures: readonly Failure[]): Letter[] {
  return letters.filter((letter) => !failures.some((failure) => failure.letter === letter))
}
