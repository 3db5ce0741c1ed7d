import type { Notice } from '../events.ts'
import { metrics } from '../metrics.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { FloodLimits, Outcome } from './flood-valve.ts'
import { FloodError, FloodValve, toOutcome } from './flood-valve.ts'
import type { RawRecord } from './record.ts'

/** A partition that stopped for a flood of dead letters tries again after this time. */
const trialMs = 5_000

/** The flood valves of a group's partitions in this process, and the one event that reports them. */
export class FloodGuard {
  readonly #o: { group: string; limits: FloodLimits; notify: (notice: Notice) => void }
  readonly #valves = new Map<string, FloodValve>()
  #forcedUntil = 0
  #isRaised = false

  constructor(options: { group: string; limits: FloodLimits; notify: (notice: Notice) => void }) {
    this.#o = options
  }

  /** Lets everything pass for a while, because an operator accepts the dead letters. */
  force(forMs: number): void {
    this.#forcedUntil = performance.now() + forMs
  }

  /** Forgets the valves of partitions that this process no longer has. */
  keep(places: readonly string[]): void {
    for (const place of this.#valves.keys()) if (!places.includes(place)) this.#valves.delete(place)
    this.#measure()
  }

  /**
   * Publishes the dead letters of a batch, unless they are a flood. The batch counts in the window only after that: if
   * publishing fails, the batch comes here again.
   *
   * @throws FloodError when the dead letters are a flood: the batch must not be settled
   */
  async settle(
    place: string,
    { records, deadLetters }: { records: readonly RawRecord[]; deadLetters: readonly DeadLetter[] },
    publish: () => Promise<void>,
  ): Promise<void> {
    const outcome = toOutcome(records, deadLetters)
    this.#check(place, outcome, deadLetters)
    await publish()
    this.#valves.get(place)?.note(outcome)
  }

  /** An empty outcome, from a tick without dead letters, is not judged. */
  #check(place: string, outcome: Outcome, letters: readonly DeadLetter[]): void {
    if (outcome.length === 0) return
    const valve = this.#valves.get(place) ?? new FloodValve(this.#o.limits)
    this.#valves.set(place, valve)
    const verdict = valve.judge(outcome, performance.now() < this.#forcedUntil)
    this.#measure()
    if (verdict === 'close') this.#raise(place, letters)
    // The partition that closed may belong to another process by now: this one takes records again.
    if (!valve.closed) this.#resolve()
    else throw new FloodError(trialMs)
  }

  get #closed(): boolean {
    return [...this.#valves.values()].some((valve) => valve.closed)
  }

  #measure(): void {
    metrics.floodValveClosed.set({ group: this.#o.group }, this.#closed ? 1 : 0)
  }

  #raise(place: string, [example]: readonly DeadLetter[]): void {
    if (this.#isRaised) return
    this.#isRaised = true
    const { group, notify } = this.#o
    notify({
      type: 'dead_letter_flood',
      subject: `group:${group}`,
      severity: 'critical',
      message: `${group} has stopped at ${place}: too many records become dead letters (${example?.reason}: ${example?.message}). It goes on by itself when the cause is gone; to let them through, send SIGUSR2 to the process.`,
      details: { reason: example?.reason ?? '', partition: String(example?.record.partition ?? '') },
    })
  }

  #resolve(): void {
    if (!this.#isRaised || this.#closed) return
    this.#isRaised = false
    const { group, notify } = this.#o
    const message = `${group} takes records again.`
    notify({
      type: 'dead_letter_flood',
      subject: `group:${group}`,
      severity: 'info',
      state: 'resolved',
      message,
    })
  }
}
