/** After this many session timeouts without an answer to a heartbeat, the coordinator has evicted the member. */
const heartlessSessions = 2
/** Connecting and joining take at most the rebalance timeout and a few tries. */
const joinWithinMs = 90_000
/** A consumer to which nothing comes works when it has been reading for this long. */
const provenAfterMs = 10_000
/** A consumer that has been a member for this long was healthy: its crash is a first one, and backoff begins again. */
const healthyAfterMs = 60_000

type State = 'joining' | 'assigned' | 'reading' | 'fenced'

/**
 * Whether a consumer lives, by the steady clock.
 *
 * States: joining → assigned (nothing is fetched yet) → reading (its logs are known) → joining, at each rebalance;
 * and fenced, at its end.
 *
 * kafkajs can stop without a crash: when a coordinator moves while a broker is away, its fetchers wait for one
 * another forever. It then sends no heartbeats. And it can go on without having joined: when joining fails often enough
 * while a coordinator loads, it fetches and sends heartbeats as the member that it was, which the coordinator
 * remembers. Its workers are fenced, and no assignment brings others. {@link fault} names both.
 */
export class Liveness {
  readonly #heartbeatWithinMs: number
  /** From an answer to JoinGroup to the partitions: the group waits for its members, and the leader assigns. */
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

  /** It could fetch for a while. To have joined proves nothing: it may crash each time at what comes next. */
  get isProven(): boolean {
    return this.#state === 'reading' && this.#now() - this.#since >= provenAfterMs
  }

  /** Why it is to be taken for dead; null while it lives. */
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
