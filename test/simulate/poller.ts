import { budgetWindowMs, pollingNeed } from '../../lib/spotify/budget-plan.ts'
import type { Book } from '../../lib/spotify/budget-rule.ts'
import { addPause, clearStrikes, emptyBook, refund, take, usedIn } from '../../lib/spotify/budget-rule.ts'
import type { Outcome, OutcomeType, RequestLane } from '../../lib/spotify/outcome.ts'
import { refusals } from '../../lib/spotify/outcome-rules.ts'
import { toPause } from '../../lib/spotify/pause-policy.ts'
import type { Evidence } from '../../services/poller/blame.ts'
import { isMass } from '../../services/poller/blame.ts'
import type { RecentPoll } from '../../services/poller/evaluate.ts'
import { addRecent } from '../../services/poller/evaluate.ts'
import type { Fairness } from '../../services/poller/plan.ts'
import type { Random } from './random.ts'
import { openRandom } from './random.ts'
import type { Rules } from './rules.ts'
import type { Cause, Tally } from './tally.ts'
import { causes, emptyTally, noteAlarm } from './tally.ts'
import type { Listener, WorldOptions } from './world.ts'
import { World } from './world.ts'

const minute = 60_000
const hour = 60 * minute
const tokenMs = 58 * minute
const bounds = { minIntervalMs: minute, maxIntervalMs: 20 * minute }
const outagePause = { lanes: ['polling'], ms: 15_000, maxMs: 5 * minute, reason: 'outage' } as const
const accountsPause = { lanes: ['accounts'], ms: minute, maxMs: 15 * minute, reason: 'outage' } as const
const pageSize = 50

/** The poller's state of a user, as in `poll_state`, and the user's listener. */
interface User {
  listener: Listener
  nextAt: number
  /** When people will have repaired the user's consent or listing. */
  mendAt: number
  status: 'active' | 'parked'
  parkedFor: OutcomeType | null
  parkedAt: number
  probes: number
  failures: number
  lastError: OutcomeType | null
  errorSince: number
  errorCount: number
  lastFailedAt: number
  lastOkAt: number
  tokenAt: number
  newest: number | null
  /** Plays of the listener up to this place are shown by a page or lost. */
  seen: number
  /** Milliseconds since the last page, by the cause of the wait. */
  waited: Partial<Record<Cause, number>>
}

/** A poller and an enricher of one app in a simulated world; time jumps from poll to poll. */
export class Simulation {
  readonly tally: Tally = emptyTally()
  readonly #world: World
  readonly #rules: Rules
  readonly #options: WorldOptions
  readonly #users: User[]
  readonly #random: Random
  #book: Book = emptyBook
  #recent: readonly RecentPoll[] = []
  #open = new Set<string>()
  #wanted = 0
  #appTokenAt = Number.NEGATIVE_INFINITY
  #enricherWaits = 0
  #now = 0

  constructor(options: WorldOptions, rules: Rules) {
    this.#options = options
    this.#rules = rules
    this.#world = new World(options)
    this.#random = openRandom(options.seed + 99)
    this.#users = this.#world.listeners.map((listener) => toUser(listener))
  }

  run(): Tally {
    const until = this.#options.days * budgetWindowMs
    for (;;) {
      const user = this.#users.reduce((a, b) => (turnOf(b) < turnOf(a) ? b : a))
      if (turnOf(user) >= until) break
      this.#now = Math.max(this.#now, turnOf(user))
      this.#world.advance(user.listener, this.#now)
      if (user.mendAt <= this.#now) this.#mend(user)
      this.#pullIn()
      this.#enrich()
      this.#poll(user)
      this.#watch()
    }
    for (const user of this.#users) this.tally.plays += user.listener.plays.filter((at) => at < until).length
    return this.tally
  }

  get #left(): number {
    return Math.max(0, this.#options.quota - usedIn(this.#book, this.#now))
  }

  get #fairness(): Fairness {
    const activeUsers = this.#users.filter((u) => u.status === 'active').length
    const { windowStartedAt } = this.#book
    const age = windowStartedAt === null ? budgetWindowMs : this.#now - windowStartedAt
    const remainingMs = age < budgetWindowMs ? budgetWindowMs - age : budgetWindowMs
    return { activeUsers, remainingMs, left: this.#left }
  }

  #poll(user: User): void {
    const { pausedUntil, strikes } = this.#book.lanes.polling
    if (pausedUntil !== null && pausedUntil > this.#now) this.#wait(user, pausedUntil)
    else if (this.#left === 0) this.#stop(user)
    else {
      if (strikes === 0) this.#resolve('spotify_outage', 'spotify_paused')
      if (this.#take('polling')) this.#send(user)
      else this.#wait(user, this.#now + minute)
    }
  }

  #send(user: User): void {
    const window = this.#book.windowStartedAt ?? 0
    const refused = this.#renew(user)
    if (refused && this.#rules.refunds) {
      this.#book = refund(this.#book, { lane: 'polling', count: 1, window })
    }
    if (refused === 'deferred') {
      this.#wait(user, this.#book.lanes.accounts.pausedUntil ?? this.#now + minute)
      return
    }
    const outcome = refused ?? this.#ask(user)
    if (outcome.type === 'ok') this.#keepPage(user)
    else this.#fail(user, outcome)
    this.#note(user, outcome.type)
  }

  /** Waits at most the longest interval, as the pause may end early. */
  #wait(user: User, until: number): void {
    this.#schedule(user, Math.max(1_000, Math.min(until - this.#now, bounds.maxIntervalMs)), 'pause')
  }

  #stop(user: User): void {
    const { remainingMs } = this.#fairness
    if (remainingMs >= this.#rules.worthTellingMs) this.#raise('spotify_paused', this.#isTooSmall)
    this.#wait(user, this.#now + remainingMs)
  }

  /** The requests of a day are too few to poll all users safely. */
  get #isTooSmall(): boolean {
    const { activeUsers } = this.#fairness
    return pollingNeed({ activeUsers, remainingMs: budgetWindowMs }) > this.#options.quota
  }

  #take(lane: RequestLane, cap = this.#options.quota): boolean {
    const { granted, book } = take(this.#book, { lane, count: 1, cap, despitePause: false, now: this.#now })
    this.#book = book
    return granted === 1
  }

  #settle(lane: RequestLane, outcome: Outcome): void {
    const pause = toPause(lane, outcome)
    if (pause) this.#book = addPause(this.#book, pause, this.#now)
    else if (outcome.type === 'ok') this.#book = clearStrikes(this.#book, lane, this.#now)
    if (pause && (pause.ms > minute || outcome.type === 'quota_exceeded')) this.#raise('spotify_paused', true)
  }

  /** Renews the access token if necessary; null if it is valid then. */
  #renew(user: User): Outcome | 'deferred' | null {
    if (this.#now - user.tokenAt < tokenMs) return null
    if (!this.#take('accounts')) return 'deferred'
    this.tally.requests.accounts += 1
    const outcome = this.#world.askToken(user.listener, this.#now)
    this.#settle('accounts', outcome)
    if (outcome.type !== 'ok') return outcome
    user.tokenAt = this.#now
    return null
  }

  #ask(user: User): Outcome {
    this.tally.requests.polling += 1
    const outcome = this.#world.askApi(user.listener, this.#now)
    this.#settle('polling', outcome)
    return outcome
  }

  #keepPage(user: User): void {
    const { plays } = user.listener
    const first = user.seen
    while ((plays[user.seen] ?? Number.POSITIVE_INFINITY) <= this.#now) user.seen += 1
    const lost = user.seen - first - pageSize
    if (lost > 0) this.tally.lost[longestOf(user.waited)] += lost
    this.#wanted += Math.min(user.seen - first, pageSize) * 0.2
    if (user.status === 'parked') this.#unpark(user)
    const playedAt = plays.slice(Math.max(0, user.seen - pageSize), user.seen).toReversed()
    const previousNewest = user.newest
    Object.assign(user, {
      ...{ lastOkAt: this.#now, newest: playedAt[0] ?? previousNewest, waited: {} },
      ...{ failures: 0, lastError: null, errorCount: 0, probes: 0 },
    })
    const fairness = this.#fairness
    const jitter = this.#random()
    const plan = { bounds, fairness, playedAt, previousNewest, now: this.#now, jitter }
    this.#schedule(user, this.#rules.planNext(plan), 'budget')
  }

  #fail(user: User, { type }: Outcome): void {
    user.failures += 1
    user.errorCount = user.lastError === type ? user.errorCount + 1 : 1
    if (user.errorCount === 1) user.errorSince = this.#now
    Object.assign(user, { lastError: type, lastFailedAt: this.#now })
    const blame = this.#rules.judge(type, this.#evidenceOf(user, type))
    if (blame === 'outage') this.#takeForOutage(type)
    if (blame === 'app') this.#wait(user, this.#now + minute)
    else if (user.status === 'parked') this.#probeAgain(user, type === user.parkedFor)
    else if (blame === 'user') this.#park(user, type)
    else this.#retry(user)
  }

  #retry(user: User): void {
    const othersFail = this.#users.some(
      (o) =>
        o !== user && o.status === 'active' && o.failures > 0 && o.lastFailedAt > this.#now - 10 * minute,
    )
    const { failures } = user
    const retry = { bounds, fairness: this.#fairness, failures, othersFail, jitter: this.#random() }
    this.#schedule(user, this.#rules.planRetry(retry), 'trouble')
  }

  #evidenceOf(user: User, type: OutcomeType): Evidence {
    const others = this.#users.filter((o) => o !== user && o.status === 'active')
    const alike = (o: User) =>
      o.lastError === type ||
      (refusals.includes(type) && o.lastError !== null && refusals.includes(o.lastError))
    const failing = this.#users.filter((o) => alike(o) && o.lastFailedAt > this.#now - hour).length
    const lastWorked = (o: User) => (type === 'invalid_grant' ? o.tokenAt : o.lastOkAt)
    let working = others.filter((o) => lastWorked(o) > user.errorSince).length
    const hourly = others.filter((o) => lastWorked(o) > this.#now - hour && !alike(o)).length
    if (type === 'invalid_grant' && working === 0 && user.errorCount > 1 && this.#rules.triesControl)
      working = this.#tryControl(others)
    const many = isMass({ failing, working: type === 'invalid_grant' ? hourly : working })
    const forMs = this.#now - user.errorSince
    return { tries: user.errorCount, forMs, others: others.length, failing, working, isMass: many }
  }

  /** Renews the token of another user without failures, as a control. */
  #tryControl(others: readonly User[]): number {
    const control = others.find((o) => o.failures === 0 && o.lastOkAt > 0)
    if (!control || !this.#take('accounts')) return 0
    this.tally.requests.accounts += 1
    const outcome = this.#world.askToken(control.listener, this.#now)
    this.#settle('accounts', outcome)
    if (outcome.type !== 'ok') return 0
    control.tokenAt = this.#now
    return 1
  }

  #park(user: User, type: OutcomeType): void {
    const event = type === 'invalid_grant' ? 'user_needs_reauth' : 'user_forbidden'
    const { deadSince, unlistedSince } = user.listener
    noteAlarm(this.tally, event, (type === 'invalid_grant' ? deadSince : unlistedSince) !== null)
    Object.assign(user, { status: 'parked', parkedFor: type, parkedAt: this.#now, probes: -1 })
    this.#probeAgain(user, true)
  }

  #probeAgain(user: User, isSame: boolean): void {
    if (isSame) user.probes += 1
    const { authorizedAt } = user.listener
    const isEnded = authorizedAt + this.#options.consentMs < this.#now && user.parkedFor === 'invalid_grant'
    const consent = isEnded ? 'ended' : 'living'
    const ms = this.#rules.toProbeDelay({ probes: user.probes, consent, jitter: this.#random() })
    this.#schedule(user, ms ?? 365 * budgetWindowMs, 'parked_wrongly')
  }

  #takeForOutage(type: OutcomeType): void {
    if (type === 'invalid_grant') {
      this.#raise('spotify_outage', this.#world.outageAt(this.#now) !== null, 'accounts')
      this.#book = addPause(this.#book, accountsPause, this.#now)
    }
    for (const user of this.#users) {
      if (user.parkedFor !== type || user.parkedAt < this.#now - hour || user.status === 'active') continue
      this.#unpark(user)
      user.nextAt = this.#now + 1_000
    }
  }

  #unpark(user: User): void {
    Object.assign(user, { status: 'active', parkedFor: null, probes: 0, errorCount: 0, failures: 0 })
  }

  #note(user: User, type: OutcomeType): void {
    const poll = this.#rules.toRecent(this.#users.indexOf(user), type, this.#now)
    if (!poll) return
    this.#recent = addRecent(this.#recent, poll)
    if (this.#rules.evaluateRecent(this.#recent, 0) === 'working') return
    this.#recent = []
    this.#book = addPause(this.#book, outagePause, this.#now)
    this.#raise('spotify_outage', this.#world.outageAt(this.#now) !== null)
  }

  /** Schedules the next poll of a user, and counts the wait for its cause. */
  #schedule(user: User, ms: number, cause: Cause): void {
    const { deadSince, unlistedSince } = user.listener
    const why = deadSince !== null ? 'consent' : unlistedSince !== null ? 'unlisted' : cause
    user.waited[why] = (user.waited[why] ?? 0) + ms
    if (why === 'parked_wrongly') this.tally.wronglyParkedHours += ms / hour
    user.nextAt = this.#now + ms
    const since = deadSince ?? unlistedSince
    if (since !== null) user.mendAt = Math.min(heardAt(user), since + 7 * 24 * hour)
  }

  /** The user connects again, or the owner of the app lists them again. */
  #mend(user: User): void {
    const { listener } = user
    if (listener.deadSince !== null) listener.authorizedAt = this.#now
    Object.assign(listener, { deadSince: null, unlistedSince: null })
    this.#unpark(user)
    const connected = { tokenAt: this.#now, nextAt: this.#now, mendAt: Number.POSITIVE_INFINITY }
    Object.assign(user, connected)
  }

  /** Brings forward polls that were planned under a smaller budget. */
  #pullIn(): void {
    const longest = Math.max(bounds.maxIntervalMs, this.#rules.fairInterval(this.#fairness))
    for (const user of this.#users) {
      if (user.status !== 'active' || user.nextAt <= this.#now + 2 * longest) continue
      user.nextAt = this.#now + this.#random() * longest
    }
  }

  /** The enricher sends requests while the budget allows it, then waits. */
  #enrich(): void {
    if (this.#wanted < 1 || this.#now < this.#enricherWaits) return
    const { activeUsers, remainingMs } = this.#fairness
    const cap = this.#rules.enrichmentCap({ dailyRequests: this.#options.quota, activeUsers, remainingMs })
    while (this.#wanted >= 1 && this.#mayEnrich(cap)) {
      this.tally.requests.enrichment += 1
      const outcome = this.#world.askApi(null, this.#now)
      this.#settle('enrichment', outcome)
      if (outcome.type !== 'ok') break
      this.#wanted -= 1
    }
    this.#enricherWaits = this.#now + 10 * minute
  }

  /** Reserves a request, then renews the app's token if necessary: no token without a request. */
  #mayEnrich(cap: number): boolean {
    if (!this.#take('enrichment', cap)) return false
    const window = this.#book.windowStartedAt ?? 0
    if (this.#now - this.#appTokenAt < tokenMs || this.#login()) return true
    this.#book = refund(this.#book, { lane: 'enrichment', count: 1, window })
    return false
  }

  #login(): boolean {
    if (this.#rules.countsAppTokens) {
      if (!this.#take('accounts')) return false
      this.tally.requests.accounts += 1
    } else this.tally.requests.uncounted += 1
    const outcome = this.#world.askToken(null, this.#now)
    this.#settle('accounts', outcome)
    if (outcome.type === 'ok') this.#appTokenAt = this.#now
    return outcome.type === 'ok'
  }

  #watch(): void {
    const wasShort = this.#open.has('budget_short')
    const isShort = this.#rules.isBudgetShort(this.#fairness, { bounds, wasShort })
    if (isShort === false) this.#resolve('budget_short')
    const refused = this.#users.filter(
      (u) => u.lastError === 'invalid_grant' && u.lastFailedAt > this.#now - hour,
    )
    if (refused.length < 3) this.#resolve('spotify_outageaccounts')
    if (isShort) this.#raise('budget_short', this.#isTooSmall)
  }

  #raise(type: string, isTrue: boolean, subject = ''): void {
    if (this.#open.has(type + subject)) return
    this.#open.add(type + subject)
    noteAlarm(this.tally, type, isTrue)
  }

  #resolve(...types: string[]): void {
    for (const type of types) this.#open.delete(type)
  }
}

function toUser(listener: Listener): User {
  return {
    ...{
      listener,
      nextAt: 0,
      mendAt: Number.POSITIVE_INFINITY,
      status: 'active',
      parkedFor: null,
      parkedAt: 0,
      probes: 0,
    },
    ...{
      failures: 0,
      lastError: null,
      errorSince: 0,
      errorCount: 0,
      lastFailedAt: Number.NEGATIVE_INFINITY,
      lastOkAt: 0,
    },
    ...{ tokenAt: Number.NEGATIVE_INFINITY, newest: null, seen: 0, waited: {} },
  }
}

/** People act a day after an event; without one they notice after a week. */
function heardAt({ status, parkedAt }: User): number {
  return status === 'parked' ? parkedAt + 24 * hour : Number.POSITIVE_INFINITY
}

const turnOf = ({ nextAt, mendAt }: User): number => Math.min(nextAt, mendAt)

/** The cause of the longest wait since the last page. */
function longestOf(waited: User['waited']): Cause {
  return causes.reduce((a, b) => ((waited[b] ?? 0) > (waited[a] ?? 0) ? b : a), 'budget')
}
