/**
 * After this many session timeouts without an answer to a heartbeat, assume that the coordinator evicted the member.
 */
const heartlessSessions = 2
/** Limit for connecting and the first join: the rebalance timeout (30 s by default) and a few tries. */
const joinWithinMs = 90_000
/** A consumer that gets no records counts as working after it has been reading for this long. */
const provenAfterMs = 10_000
/** A consumer that was a member for this long was healthy: after its crash, backoff begins at the first step. */
const healthyAfterMs = 60_000

type State = 'joining' | 'assigned' | 'reading' | 'fenced'

/**
 * Whether a consumer lives, by the monotonic clock.
 *
 * States: joining → assigned (nothing is fetched yet) → reading (its logs are known) → joining, at each rebalance;
 * and fenced, at its end.
 *
 * kafkajs can fail in two ways without a crash, and {@link fault} reports both. When a coordinator moves while a broker
 * is away, its fetchers can wait for one another forever; then it sends no heartbeats. And when joining fails often
 * enough while a coordinator loads, it goes on as the member that it was, which the coordinator still knows: it
 * fetches and sends heartbeats, but its workers are fenced and no assignment opens others.
 */
export class Liveness {
  readonly #heartbeatWithinMs: number
  /** Limit from an answer to JoinGroup to the assignment: the group waits for its members, and the leader assigns. */
  readonly #assignWithinMs: number
  readonly #now: () => number
  #state: State = 'joining'
  #since: number
  #lastHeartbeatAt: number
  #firstAssignedAt: number | null = null

  constructor({
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    now = () => performance.now(),
  }: { sessionTimeoutMs: number; rebalanceTimeoutMs: number; now?: () => number }) {
    this.#heartbeatWithinMs = heartlessSessions * sessionTimeoutMs
    this.#assignWithinMs = rebalanceTimeoutMs + sessionTimeoutMs
    this.#now = now
    this.#since = now()
    this.#lastHeartbeatAt = now()
  }

  get state(): State {
    return this.#state
  }

  joining(): void {
    if (this.#state !== 'joining') this.#enter('joining')
  }

  assigned(): void {
    this.#enter('assigned')
    this.#lastHeartbeatAt = this.#now()
    this.#firstAssignedAt ??= this.#now()
  }

  reading(): void {
    this.#enter('reading')
  }

  fenced(): void {
    this.#enter('fenced')
  }

  heartbeat(): void {
    this.#lastHeartbeatAt = this.#now()
  }

  get wasHealthy(): boolean {
    return this.#firstAssignedAt !== null && this.#now() - this.#firstAssignedAt >= healthyAfterMs
  }

  /** Whether it has been fetching for a while. Joining proves nothing: it may crash each time right after it. */
  get isProven(): boolean {
    return this.#state === 'reading' && this.#now() - this.#since >= provenAfterMs
  }

  /** Why it counts as dead, or null while it lives. */
  fault(): string | null {
    const wasMember = this.#firstAssignedAt !== null
    if (wasMember && this.#state === 'joining' && this.#now() - this.#since > this.#assignWithinMs)
      return `no partitions within ${this.#assignWithinMs / 1000} s of joining`
    const silentMs = this.#now() - this.#lastHeartbeatAt
    if (silentMs < (wasMember ? this.#heartbeatWithinMs : joinWithinMs)) return null
    return `no heartbeat for ${Math.round(silentMs / 1000)} s`
  }

  #enter(state: State): void {
    this.#state = state
    this.#since = this.#now()
  }
}
