import { isRecordFault } from '../../lib/errors.ts'
import type { HealthReport } from '../../lib/health.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import type { AppState } from './app-state.ts'
import type { ClaimedUser } from './claims.ts'
import { claimDue, giveBack, readNextDue, recordFailure } from './claims.ts'
import type { PollSettings } from './config.ts'
import type { Fairness } from './plan.ts'
import type { PollContext } from './poll-user.ts'
import { pollUser } from './poll-user.ts'
import { createSleeper } from './sleeper.ts'

export interface PollLoop extends Resource {
  report(): HealthReport
}

const waiter = { name: 'poller', place: null }
const strainMinMs = 1_000
/** A pass that fails has cost nothing; a page that cannot be published has cost a request of the budget. */
const strainMaxMs = { pass: 30_000, poll: 300_000 }
/** A pass takes milliseconds; one that takes so long hangs. */
const stuckAfterMs = 180_000
/** Who is due, but locked or leased by another poller, is free in a moment. */
const contendedMs = 50
/** While more users are due than can be polled, this share of the slots must be free before users are claimed. */
const claimShare = 0.25
/** Until a user is tried again whose poll met a fault of this program. */
const bugRetryMs = 10 * 60_000

/**
 * Polls due users until it is closed: claims as many as there are free slots, pays for them, polls them, and
 * sleeps until the next one is due. Users are claimed only when they can be polled at once, so a lease never
 * runs while a user waits.
 *
 * While Kafka or Postgres are away (`strain`), and after a pause until the first success (`strikes`), one user
 * at a time is tried.
 */
export function startPollLoop(
  context: PollContext,
  options: { appState: AppState; fail: (error: unknown) => void },
): PollLoop {
  const { postgres, gateway, settings, outages, log } = context
  const { appState, fail } = options
  const running = new Set<Promise<void>>()
  const sleeper = createSleeper()
  let stopped = false
  let strainMs = 0
  let strainedUntil = 0
  let strainedBy: keyof typeof strainMaxMs = 'pass'
  let lastPass = performance.now()
  /** The last claim filled all slots: more users may be due. */
  let backlog = false

  /** Polls under way fail together: that counts once. */
  function strain(err: unknown, by: keyof typeof strainMaxMs): void {
    outages.failed(waiter, err)
    if (strainedUntil > performance.now()) return
    strainMs = Math.min(Math.max(strainMs * 2, strainMinMs), strainMaxMs[by])
    strainedUntil = performance.now() + strainMs
    strainedBy = by
    log.warn({ err, by, waitMs: strainMs }, 'polling_strained')
  }

  function relax(): void {
    strainMs = strainedUntil = 0
    outages.worked(waiter)
  }

  async function poll(user: ClaimedUser, paid: { permit: Permit; fairness: Fairness }): Promise<void> {
    try {
      const { outcome, answer } = await pollUser(context, user, paid)
      metrics.polls.inc({ outcome })
      relax()
      // Whoever is parked was found to be refused: the probe says nothing about the others.
      if (answer && user.status === 'active') await appState.note(user.userId, answer, running.size - 1)
    } catch (err) {
      if (!isRecordFault(err)) {
        strain(err, 'poll')
        // In vain while Postgres is away; then the lease runs out.
        await giveBack(postgres, [user], strainMs).catch(() => undefined)
        return
      }
      // One user's fault must not stop the others: it is told, and the user tried again later.
      log.error({ err, userId: user.userId }, 'poll_broken')
      metrics.polls.inc({ outcome: 'broken' })
      await recordFailure(postgres, user, 'internal').catch(() => undefined)
      await giveBack(postgres, [user], bugRetryMs).catch(() => undefined)
    }
  }

  function start(user: ClaimedUser, paid: { permit: Permit; fairness: Fairness }): void {
    const polling = poll(user, paid)
      .catch((err) => log.error({ err, userId: user.userId }, 'poll_broken'))
      .finally(() => {
        running.delete(polling)
        // In a backlog users are claimed by the batch; a slot that stays free is found within `idleMs`.
        const free = settings.concurrency - running.size
        if (!backlog || free >= settings.concurrency * claimShare || running.size === 0) sleeper.wake()
      })
    running.add(polling)
  }

  /** @returns how long nothing can be done, in milliseconds */
  async function pass(): Promise<number> {
    // Polls that end wake the loop, and must not cut this short.
    if (strainedUntil > performance.now()) return strainedUntil - performance.now()
    const state = await gateway.read()
    await appState.upkeep(state)
    if (strainedBy === 'pass') relax()
    const { pausedForMs, strikes } = state.lanes.polling
    if (pausedForMs > 0 || state.left === 0) {
      await appState.noteStopped(state)
      return pausedForMs > 0 ? pausedForMs : settings.idleMs
    }
    const slots = strikes > 0 || strainMs > 0 ? 1 : settings.concurrency
    const free = Math.min(slots - running.size, state.left)
    if (free <= 0) return settings.idleMs
    const claimed = await claimDue(postgres, free, settings.leaseMs)
    backlog = claimed.length === free
    if (claimed.length === 0) return toWait(await readNextDue(postgres), settings)
    const { permits } = await gateway.reserve('polling', claimed.length)
    const fairness = appState.fairness(state)
    for (const [i, permit] of permits.entries()) {
      const user = claimed[i]
      if (user) start(user, { permit, fairness })
    }
    const unpaid = claimed.slice(permits.length)
    if (unpaid.length > 0) await giveBack(postgres, unpaid, 0)
    return claimed.length < free ? 0 : settings.idleMs
  }

  async function run(): Promise<void> {
    while (!stopped) {
      let waitMs = 0
      try {
        waitMs = await pass()
        lastPass = performance.now()
      } catch (err) {
        strain(err, 'pass')
        waitMs = strainMs
      }
      await sleeper.sleep(Math.min(waitMs, settings.idleMs))
    }
  }

  const done = run().catch(fail)

  return {
    report: () => ({
      alive: stopped || performance.now() - lastPass < stuckAfterMs + strainMs,
      ready: strainMs === 0,
      detail: `${running.size} polls under way${strainMs > 0 ? ', Kafka or Postgres are away' : ''}`,
    }),
    async close() {
      stopped = true
      sleeper.wake()
      await done
      await Promise.all(running)
      await appState.release().catch((err) => log.warn({ err }, 'upkeep_not_released'))
    },
  }
}

function toWait(nextDueMs: number | null, settings: PollSettings): number {
  return nextDueMs === null ? settings.idleMs : Math.max(nextDueMs, contendedMs)
}
