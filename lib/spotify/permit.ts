import type { Budget, Refusal, Reservation } from './budget.ts'
import type { RequestLane } from './outcome.ts'

/** The right to send one request, counted in a lane. */
export interface Permit {
  readonly lane: RequestLane
  /** Marks the request as sent: it stays counted. @throws when the permit was already used or refunded */
  spend(): void
  /** Gives the request back unless it was sent. */
  refund(): Promise<void>
}

/** Granted permits; fewer than requested if there is a refusal. */
export interface Permits {
  permits: Permit[]
  refusal: Refusal | null
}

export function toPermits(budget: Budget, lane: RequestLane, reservation: Reservation): Permits {
  const { granted, window, refusal } = reservation
  const permits = Array.from({ length: window === null ? 0 : granted }, () =>
    toPermit(budget, lane, window ?? ''),
  )
  return { permits, refusal }
}

function toPermit(budget: Budget, lane: RequestLane, window: string): Permit {
  let isOpen = true
  return {
    lane,
    spend() {
      if (!isOpen) throw new Error('A permit is for one request')
      isOpen = false
    },
    async refund() {
      if (!isOpen) return
      isOpen = false
      await budget.refund(lane, 1, window)
    },
  }
}

/** Runs work that may send the request of a permit, and refunds the permit if it did not. */
export async function withPermit<T>(permit: Permit, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    // If the refund fails, the request stays counted: the budget is then too small by one, but never exceeded.
    await permit.refund().catch(() => undefined)
  }
}
