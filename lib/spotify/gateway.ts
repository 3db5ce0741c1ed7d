import type { SpotifyConfig } from '../config.ts'
import { isRecordFault } from '../errors.ts'
import type { Sql } from '../postgres.ts'
import type { Resource } from '../scope.ts'
import type { Budget, BudgetState, Refusal } from './budget.ts'
import { openBudget, openUncountedBudget } from './budget.ts'
import type { ApiCall, SpotifyClient } from './client.ts'
import { openSpotifyClient } from './client.ts'
import type { Answer } from './http-answer.ts'
import type { Outcome, RequestLane } from './outcome.ts'
import type { Pause } from './pause-policy.ts'
import type { Permit, Permits } from './permit.ts'
import { toPermits } from './permit.ts'

/** The result of a request: an answer, with the pause that it led to, or the budget's refusal. */
export type Asked =
  | { type: 'answered'; answer: Answer; pause: Pause | null }
  | { type: 'refused'; refusal: Refusal }

/**
 * The only way to Spotify. Every request is reserved in the shared budget, sent and classified; then a pause is stored
 * or a row of pauses ended, as the answer says. A permit that is not used can be refunded. No call waits for the end of
 * a pause: it returns how long the pause lasts.
 */
export interface Gateway extends Resource {
  /** The most that a request takes. */
  readonly timeoutMs: number
  /**
   * Reserves requests ahead. Each permit is for one request; an unused one must be refunded.
   *
   * @param options.despitePause to find out whether the cause of the pause is gone
   */
  reserve(lane: RequestLane, count: number, options?: { despitePause: boolean }): Promise<Permits>
  /** One GET of the Web API; without a permit it reserves one in the call's lane. */
  get(call: ApiCall, permit?: Permit): Promise<Asked>
  /**
   * One POST to the token endpoint; without a permit it reserves one in the lane `accounts`.
   *
   * @param take stores the tokens of the answer; runs before a pause is stored
   */
  postToken(
    form: Record<string, string>,
    permit?: Permit,
    take?: (answer: Answer) => Promise<void>,
  ): Promise<Asked>
  /** Stores a pause that the caller decided on. */
  pause(pause: Pause): Promise<void>
  read(): Promise<BudgetState>
}

/**
 * @param options.sql null if Postgres is away: then nothing is counted; only for the few requests of `songswap doctor`
 * @param options.connections most requests at a time per host
 */
export function openGateway(options: {
  sql: Sql | null
  config: SpotifyConfig
  connections: number
}): Gateway {
  const { sql, config, connections } = options
  const { clientId, dailyRequests } = config
  return gatewayOf({
    client: openSpotifyClient(config, { connections }),
    budget: sql ? openBudget({ sql, clientId, dailyRequests }) : openUncountedBudget(dailyRequests),
  })
}

/** Makes a gateway from a client and a budget. */
export function gatewayOf({ client, budget }: { client: SpotifyClient; budget: Budget }): Gateway {
  /** Outcomes that are not stored yet, because Postgres was away; they are stored before the next reservation. */
  let unsettled: { lane: RequestLane; outcome: Outcome }[] = []

  async function settleLate(): Promise<void> {
    const late = unsettled
    unsettled = []
    for (const [i, { lane, outcome }] of late.entries()) {
      try {
        await budget.settle(lane, outcome)
      } catch (error) {
        unsettled.push(...late.slice(i))
        throw error
      }
    }
  }

  /** Returns the answer also if Postgres is away; its pause is then stored later. */
  async function settle(lane: RequestLane, outcome: Outcome): Promise<Pause | null> {
    try {
      return await budget.settle(lane, outcome)
    } catch (error) {
      if (isRecordFault(error)) throw error
      unsettled.push({ lane, outcome })
      return null
    }
  }

  async function reserve(
    lane: RequestLane,
    count: number,
    how?: { despitePause: boolean },
  ): Promise<Permits> {
    await settleLate()
    return toPermits(budget, lane, await budget.reserve(lane, count, how))
  }

  async function send(
    lane: RequestLane,
    permit: Permit | undefined,
    request: { send: () => Promise<Answer>; take?: ((answer: Answer) => Promise<void>) | undefined },
  ): Promise<Asked> {
    const { permits, refusal } = permit ? { permits: [permit], refusal: null } : await reserve(lane, 1)
    const [paid] = permits
    if (!paid) {
      if (!refusal) throw new Error('The budget neither granted nor refused a request')
      return { type: 'refused', refusal }
    }
    paid.spend()
    const answer = await request.send()
    // Store a rotated token before the pause: in memory it would be lost if the process ended.
    await request.take?.(answer)
    return { type: 'answered', answer, pause: await settle(lane, answer.outcome) }
  }

  return {
    timeoutMs: client.timeoutMs,
    reserve,
    get: (call, permit) => send(call.lane, permit, { send: () => client.get(call) }),
    postToken: (form, permit, take) => send('accounts', permit, { send: () => client.postToken(form), take }),
    pause: budget.pause,
    read: budget.read,
    async close() {
      await budget.close()
      await client.close()
    },
  }
}
