/** What is known when a user gets an answer that would park them. */
export interface Evidence {
  /** How often in a row they got it, this time included. */
  tries: number
  /** Milliseconds since they first got it. */
  forMs: number
  /** Active users besides this one. */
  others: number
  /** Users who get a similar answer, this one included. */
  failing: number
  /** Others who do not get it now and were served since this user first got it. */
  working: number
  /** Many fail alike within one of the periods counted. */
  isMass: boolean
}

/** `user`: park them. `outage`: Spotify fails, so park no user. `unsure`: try again and decide then. */
export type Blame = 'user' | 'outage' | 'unsure'

const massUsers = 3
const massShare = 0.3

/** Whether too many users fail alike for each to be a case of its own. */
export function isMass({ failing, working }: { failing: number; working: number }): boolean {
  return failing >= massUsers && failing > massShare * (failing + working)
}

/** A refusal that has lasted a day is about the user, even if others are refused too. */
export const believeAfterMs = 24 * 3_600_000
/** What it takes to believe that an answer is about the user. */
interface Proof {
  /** In a row. */
  tries: number
  /** Since the first of them: intervals are settings, and short ones must not make a proof by themselves. */
  forMs: number
}

/** Longer than most faults of Spotify's. */
const long: Proof = { tries: 15, forMs: 4 * 3_600_000 }
/** The only other user has had a turn since: the longest interval is 20 minutes by default. */
const pair: Proof = { tries: 6, forMs: 30 * 60_000 }
const few: Proof = { tries: 2, forMs: 0 }

/**
 * Whether an answer is surely about the user and not about Spotify. Its words change and prove little; how other
 * users are answered proves more:
 *
 * | others | it is the user's |
 * |---|---|
 * | many fail alike, nobody is served | after a day |
 * | many fail alike, others are served | after 15 tries in a row and four hours |
 * | nobody was served since | after 15 tries in a row and four hours |
 * | the only other user was served since | after 6 tries in a row and half an hour |
 * | others were served since | at the second try |
 */
export function evaluateBlame({ tries, forMs, others, working, isMass: many }: Evidence): Blame {
  if (forMs >= believeAfterMs) return 'user'
  if (many && working === 0) return 'outage'
  const proof = toProof({ many, others, working })
  return tries >= proof.tries && forMs >= proof.forMs ? 'user' : 'unsure'
}

function toProof(seen: { many: boolean; others: number; working: number }): Proof {
  if (seen.many || seen.working === 0) return long
  return seen.others === 1 ? pair : few
}

const hourMs = 3_600_000
const probeHours = [1, 1, 2, 4, 8]
/** How many probes a user gets whose consent has ended or is of unknown age. */
const lastProbe = { ended: probeHours.length, unknown: 12 }

/**
 * Time until a parked user is tried again, because parking may have been wrong: 1, 1, 2, 4 and 8 hours, then a day.
 *
 * @param options.probes that failed since the user was parked
 * @param options.consent `ended`: the refresh token has expired, so a few probes are enough
 * @param options.jitter 0 to 1: users who were parked together are not tried together
 * @returns milliseconds, or null for never, until they connect again or are resumed
 */
export function toProbeDelay(options: {
  probes: number
  consent: 'living' | 'ended' | 'unknown'
  jitter: number
}): number | null {
  const { probes, consent, jitter } = options
  if (consent !== 'living' && probes >= lastProbe[consent]) return null
  return (probeHours[probes] ?? 24) * hourMs * (0.95 + 0.1 * jitter)
}
