import { isRecordFault } from '../../lib/errors.ts'
import type { HealthReport } from '../../lib/health.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Resource } from '../../lib/scope.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import type { AppState } from './app-state.ts'
import type { ClaimedUser } from './claims.ts'
import { claimDue, giveBack, readNextDue, recordFailure } from './claims.ts'
import type { PollSettings } from './config.ts'
import type { Fairness } from './plan.ts'
import type { PollContext } from './poll-context.ts'
import { pollUser } from './poll-user.ts'
import { createSleeper } from './sleeper.ts'
import { Strain } from './strain.ts'

export interface PollLoopOptions {
  context: PollContext
  appState: AppState
  /** Called with a fault that ended the loop itself. */
  fail: (error: unknown) => void
}

/** The permit of a poll, and what its next poll is planned with. */
interface Paid {
  permit: Permit
  fairness: Fairness
}

/** A pass takes milliseconds; after this time it hangs. */
const stuckAfterMs = 180_000
/** When a user is due but locked by another poller, the loop checks again after this time. */
const contendedMs = 50
/** While more users are due than can be polled, this share of the slots must be free before users are claimed. */
const claimShare = 0.25
/** How long a user waits after a poll that failed by a bug of this program. */
const bugRetryMs = 10 * 60_000

/**
 * Polls due users until it is closed: claims as many as there are free slots, pays for them, polls them, and
 * sleeps until the next one is due. Users are claimed only when they can be polled at once, so a lease never
 * runs while a user waits.
 *
 * | state | ends |
 * |---|---|
 * | polling: all slots are open | when Kafka or Postgres fail, Spotify pauses, or the budget is spent |
 * | strained: no polls until the wait is over, then one user at a time | at the first success ({@link Strain}) |
 * | paused: the polling lane waits, or the budget is spent | with the pause; strikes lead to probing |
 * | probing: one user at a time while the lane has `strikes` | at the first success |
 * | stopping: no user is claimed; polls under way end | with the last poll |
 */
export class PollLoop implements Resource {
  readonly #context: PollContext
  readonly #appState: AppState
  readonly #strain: Strain
  readonly #sleeper = createSleeper()
  /** Polls under way. */
  readonly #polls = new Set<Promise<void>>()
  readonly #ended: Promise<void>
  #isStopping = false
  #lastPass = performance.now()
  /** The last claim filled all slots: more users may be due. */
  #hasBacklog = false

  constructor({ context, appState, fail }: PollLoopOptions) {
    this.#context = context
    this.#appState = appState
    this.#strain = new Strain(context)
    this.#ended = this.#run().catch(fail)
  }

  report(): HealthReport {
    const { waitMs } = this.#strain
    return {
      alive: this.#isStopping || performance.now() - this.#lastPass < stuckAfterMs + waitMs,
      ready: waitMs === 0,
      detail: `${this.#polls.size} polls under way${waitMs > 0 ? ', Kafka or Postgres are away' : ''}`,
    }
  }

  async close(): Promise<void> {
    this.#isStopping = true
    this.#sleeper.wake()
    await this.#ended
    await Promise.all(this.#polls)
    await this.#appState.release().catch((err) => this.#context.log.warn({ err }, 'upkeep_not_released'))
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      let waitMs = 0
      try {
        waitMs = await this.#pass()
        this.#lastPass = performance.now()
      } catch (err) {
        this.#strain.failed(err, 'pass')
        waitMs = this.#strain.waitMs
      }
      await this.#sleeper.sleep(Math.min(waitMs, this.#context.settings.idleMs))
    }
  }

  /** @returns milliseconds until there may be something to do */
  async #pass(): Promise<number> {
    const { gateway, settings } = this.#context
    // Polls that end wake the loop; that must not shorten this wait.
    if (this.#strain.leftMs > 0) return this.#strain.leftMs
    const state = await gateway.read()
    await this.#appState.upkeep(state)
    this.#strain.worked('pass')
    const { pausedForMs } = state.lanes.polling
    if (pausedForMs > 0 || state.left === 0) {
      await this.#appState.noteStopped(state)
      return pausedForMs > 0 ? pausedForMs : settings.idleMs
    }
    const free = this.#freeSlots(state)
    return free > 0 ? this.#claim(free, state) : settings.idleMs
  }

  #freeSlots({ lanes, left }: BudgetState): number {
    const isProbing = lanes.polling.strikes > 0 || this.#strain.waitMs > 0
    const slots = isProbing ? 1 : this.#context.settings.concurrency
    return Math.min(slots - this.#polls.size, left)
  }

  /** Claims users, pays for them and starts their polls. @returns as {@link #pass} */
  async #claim(free: number, state: BudgetState): Promise<number> {
    const { postgres, gateway, settings } = this.#context
    const claimed = await claimDue(postgres, free, settings.leaseMs)
    this.#hasBacklog = claimed.length === free
    if (claimed.length === 0) return toWait(await readNextDue(postgres), settings)
    const { permits } = await gateway.reserve('polling', claimed.length)
    const fairness = this.#appState.fairness(state)
    for (const [i, permit] of permits.entries()) {
      const user = claimed[i]
      if (user) this.#start(user, { permit, fairness })
    }
    const unpaid = claimed.slice(permits.length)
    if (unpaid.length > 0) await giveBack(postgres, unpaid, 0)
    return this.#hasBacklog ? settings.idleMs : 0
  }

  #start(user: ClaimedUser, paid: Paid): void {
    const { settings, log } = this.#context
    const polling = this.#poll(user, paid)
      .catch((err) => log.error({ err, userId: user.userId }, 'poll_broken'))
      .finally(() => {
        this.#polls.delete(polling)
        // In a backlog users are claimed in batches; a smaller number of free slots waits at most `idleMs`.
        const free = settings.concurrency - this.#polls.size
        const isRoom = free >= settings.concurrency * claimShare || this.#polls.size === 0
        if (!this.#hasBacklog || isRoom) this.#sleeper.wake()
      })
    this.#polls.add(polling)
  }

  async #poll(user: ClaimedUser, paid: Paid): Promise<void> {
    try {
      const { outcome, answer } = await pollUser(this.#context, user, paid)
      metrics.polls.inc({ outcome })
      this.#strain.worked('poll')
      // Spotify is known to refuse a parked user, so their probe says nothing about the others.
      if (answer && user.status === 'active') {
        await this.#appState.note(user.userId, answer, this.#polls.size - 1)
      }
    } catch (err) {
      await this.#pollFailed(user, err)
    }
  }

  async #pollFailed(user: ClaimedUser, err: unknown): Promise<void> {
    const { postgres, log } = this.#context
    if (!isRecordFault(err)) {
      this.#strain.failed(err, 'poll')
      // While Postgres is away this fails as well; then the lease runs out.
      await giveBack(postgres, [user], this.#strain.waitMs).catch(() => undefined)
      return
    }
    // A bug that one user's answer triggers must not stop the others: log it, and try the user again later.
    log.error({ err, userId: user.userId }, 'poll_broken')
    metrics.polls.inc({ outcome: 'broken' })
    await recordFailure(postgres, user, 'internal').catch(() => undefined)
    await giveBack(postgres, [user], bugRetryMs).catch(() => undefined)
  }
}

function toWait(nextDueMs: number | null, settings: PollSettings): number {
  return nextDueMs === null ? settings.idleMs : Math.max(nextDueMs, contendedMs)
}
