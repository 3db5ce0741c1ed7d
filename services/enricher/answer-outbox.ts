import { isRecordFault } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { EntityAnswer } from './lookup.ts'
import type { PublishedEntity } from './publish.ts'
import type { Source } from './route.ts'
import type { Ticket } from './ticket.ts'
import type { TicketEnds } from './ticket-ends.ts'

export interface AnswerOutboxOptions {
  source: Source
  ends: TicketEnds
  publish: (entities: readonly PublishedEntity[]) => Promise<void>
  log: Logger
}

/** Holds the answers to one request until they are in the topic; only then do their tickets end. */
export class AnswerOutbox {
  readonly #o: AnswerOutboxOptions
  #waiting: { tickets: Ticket[]; entities: PublishedEntity[] } | null = null

  constructor(options: AnswerOutboxOptions) {
    this.#o = options
  }

  get isEmpty(): boolean {
    return this.#waiting === null
  }

  /** Adds the answers; tickets without one are asked for again in a smaller batch. */
  add(answers: ReadonlyMap<string, EntityAnswer>, tickets: readonly Ticket[]): void {
    const answered = tickets.filter((t) => answers.has(t.wanted.id))
    this.#o.ends.askInSmaller(tickets.filter((t) => !answers.has(t.wanted.id)))
    const byId = new Map(answered.map((t) => [t.wanted.id, t.wanted]))
    const entities = [...byId].flatMap(([id, wanted]) => {
      const answer = answers.get(id)
      return answer ? [{ wanted, answer, source: this.#o.source }] : []
    })
    this.#waiting = { tickets: answered, entities }
  }

  /** @throws when Kafka is away: the answers are kept, and may be published twice */
  async publish(): Promise<void> {
    if (!this.#waiting) return
    const { ends } = this.#o
    const { tickets, entities } = this.#waiting
    const unfit = await this.#publishAll(entities)
    this.#waiting = null
    const found = new Set(entities.filter((e) => e.answer.status === 200).map((e) => e.wanted.id))
    const byResult = Map.groupBy(tickets, ({ wanted: { id } }) =>
      unfit.has(id) ? 'failed' : found.has(id) ? 'found' : 'not_found',
    )
    ends.end(byResult.get('found') ?? [], 'found')
    ends.end(byResult.get('not_found') ?? [], 'not_found')
    const message = 'The answer does not fit into the topic'
    ends.end(byResult.get('failed') ?? [], 'failed', { reason: 'lookup_failed', message })
  }

  /** @returns ids whose answers Kafka will never accept; they must not hold up the others */
  async #publishAll(entities: readonly PublishedEntity[]): Promise<Set<string>> {
    const { publish, log } = this.#o
    try {
      await publish(entities)
      return new Set()
    } catch (error) {
      if (!isRecordFault(error)) throw error
      if (entities.length === 1) {
        log.error({ err: error, key: entities[0]?.wanted.key }, 'answer_refused')
        return new Set(entities.map((e) => e.wanted.id))
      }
      const unfit: string[] = []
      for (const entity of entities) unfit.push(...(await this.#publishAll([entity])))
      return new Set(unfit)
    }
  }
}
