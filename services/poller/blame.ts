/** What is known when a user meets an answer that would park them. */
export interface Evidence {
  /** How often in a row they have met it, this time included. */
  tries: number
  /** Since they met it first, in milliseconds. */
  forMs: number
  /** Active users besides this one. */
  others: number
  /** Users who meet the like of it, this one included. */
  failing: number
  /** Others for whom the same has worked since this user met it first, and who do not meet it now. */
  working: number
  /** Many fail alike, in one of the stretches of time that were looked at. */
  isMass: boolean
}

/** `user`: park them. `outage`: Spotify's, park nobody. `unsure`: try again and look then. */
export type Blame = 'user' | 'outage' | 'unsure'

const massUsers = 3
const massShare = 0.3

/** Whether too many fail alike for it to be each one's own fault. */
export function isMass({ failing, working }: { failing: number; working: number }): boolean {
  return failing >= massUsers && failing > massShare * (failing + working)
}

/** What has lasted a day for a user is theirs, also when others have it. */
export const believeAfterMs = 24 * 3_600_000
/** What it takes to believe that an answer is about the user. */
interface Proof {
  /** In a row. */
  tries: number
  /** Since the first of them: intervals are settings, and quick ones alone must not make it sure. */
  forMs: number
}

/** Longer than most faults of Spotify's. */
const long: Proof = { tries: 15, forMs: 4 * 3_600_000 }
/** The only other user has had their turn since; the longest interval is 20 minutes. */
const pair: Proof = { tries: 6, forMs: 30 * 60_000 }
const few: Proof = { tries: 2, forMs: 0 }

/**
 * Whether an answer is surely about the user and not about Spotify. Words say little, they change; who else meets
 * it says much:
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
/** Probes of a user whose consent has ended, or is of unknown age, until nobody asks for them any more. */
const lastProbe = { ended: probeHours.length, unknown: 12 }

/**
 * Time until a parked user is tried again: what parked them may not have been true. After 1, 1, 2, 4 and 8 hours,
 * then once a day.
 *
 * @param options.probes that failed since the user was parked
 * @param options.consent `ended`: no refresh token lives any more, and a few probes are enough
 * @param options.jitter 0 to 1: who was parked together is not tried together
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
