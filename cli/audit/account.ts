import type { DropReason } from '../../services/loader/item.ts'

/** Where a record lies: `partition/offset`. */
export type Place = string

/** One play that a page holds, and the page under which it would have been stored. */
export interface PlayClaim {
  place: Place
  userId: string
  /** Unix time in milliseconds. */
  playedAt: number
  trackId: string
  /** Place of the page; differs from the record's when it was restored from the archive. */
  page: Place
}

/** One item that the loader must have rejected. */
export interface RejectClaim {
  place: Place
  userId: string
  digest: string
  page: Place
}

/** What a record of the topic must have become. */
export interface Claims {
  place: Place
  /** Each play once. */
  plays: PlayClaim[]
  /** Items that are one of these plays once more. */
  repeats: number
  rejects: RejectClaim[]
  dropped: Partial<Record<DropReason, number>>
  /** The record itself must be a dead letter: it cannot be decoded, or is no page. */
  isDead: boolean
}

/** What the database and the dead letters say of a batch of claims. */
export interface Evidence {
  /** Place of the page that stored each play, in the order of the claims; null: there is no such row. */
  storedBy: (Place | null)[]
  /** Place of the page that reported each rejected item; null: it is not remembered. */
  reportedBy: (Place | null)[]
  /** Records that have a dead letter of the loader. */
  dead: ReadonlySet<Place>
  /** Whether the record of a place is counted as well. */
  isCounted: (place: Place) => boolean
}

/** Every item counted once. `items` = stored + duplicates + dropped + rejected + deadLettered + missing. */
export interface Account {
  records: number
  items: number
  stored: number
  duplicates: number
  dropped: Record<string, number>
  rejected: number
  /** Items of pages that are dead letters as a whole, because their handler failed. */
  deadLettered: number
  /** Records that are no pages and have their dead letter. */
  deadPages: number
  missing: number
  /** What does not add up, a line each, with the place. */
  faults: string[]
}

export function emptyAccount(): Account {
  return {
    records: 0,
    items: 0,
    stored: 0,
    duplicates: 0,
    dropped: {},
    rejected: 0,
    deadLettered: 0,
    deadPages: 0,
    missing: 0,
    faults: [],
  }
}

/** Adds a batch to the account. */
export function addClaims(account: Account, batch: readonly Claims[], evidence: Evidence): void {
  const plays = batch.flatMap((c) => c.plays)
  const rejects = batch.flatMap((c) => c.rejects)
  account.records += batch.length
  for (const claims of batch) addRecord(account, claims, evidence.dead)
  for (const [i, play] of plays.entries())
    addPlay(account, play, { ...evidence, by: evidence.storedBy[i] ?? null })
  for (const [i, reject] of rejects.entries()) {
    addReject(account, reject, { by: evidence.reportedBy[i] ?? null, dead: evidence.dead })
  }
}

function addRecord(account: Account, claims: Claims, dead: ReadonlySet<Place>): void {
  account.items += claims.repeats
  account.duplicates += claims.repeats
  for (const [reason, n] of Object.entries(claims.dropped)) {
    account.items += n
    account.dropped[reason] = (account.dropped[reason] ?? 0) + n
  }
  if (!claims.isDead) return
  if (dead.has(claims.place)) account.deadPages++
  else account.faults.push(`${claims.place}: is no page, and has no dead letter`)
}

interface Finding {
  by: Place | null
  dead: ReadonlySet<Place>
}

function addPlay(
  account: Account,
  play: PlayClaim,
  { by, dead, isCounted }: Finding & Pick<Evidence, 'isCounted'>,
): void {
  account.items++
  // Of a page and its copy that a restore put back, the page has stored what both show.
  const isCopy = play.page !== play.place && isCounted(play.page)
  if (by === play.page && !isCopy) account.stored++
  else if (by !== null) account.duplicates++
  else if (dead.has(play.place)) account.deadLettered++
  else {
    account.missing++
    account.faults.push(
      `${play.place}: ${play.trackId} of user ${play.userId} at ${new Date(play.playedAt).toISOString()} is not stored`,
    )
  }
}

function addReject(account: Account, reject: RejectClaim, { by, dead }: Finding): void {
  account.items++
  account.rejected++
  if (by === null && !dead.has(reject.place))
    account.faults.push(`${reject.place}: a rejected item is not remembered`)
  if (by === reject.page && !dead.has(reject.place)) {
    account.faults.push(`${reject.place}: holds an item that was rejected, and has no dead letter`)
  }
}
