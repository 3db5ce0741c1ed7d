import type { DropReason } from '../../services/loader/item.ts'
import type { Account } from './report.ts'

/**
 * Which record: `partition/offset@timestamp`, as places come again when a topic is made again. Of a page, where it lay
 * first; of a record, where it lies.
 */
export type Place = string

export function toPlace(of: { partition: number; offset: number; timestamp: number }): Place {
  return `${of.partition}/${of.offset}@${of.timestamp}`
}

/** The place as a person looks it up: `partition/offset`. */
function toWords(place: Place): string {
  return place.slice(0, place.indexOf('@'))
}

/** One play that a page holds. */
export interface PlayClaim {
  userId: string
  /** Unix time in milliseconds. */
  playedAt: number
  trackId: string
}

/** One item that the loader must have rejected. */
export interface RejectClaim {
  userId: string
  digest: string
}

/** What a record of the topic must have become. */
export interface Claims {
  place: Place
  /** Place of the page; differs from the record's when it was restored from the archive. null: it is no page. */
  page: PageClaim | null
  /** Items of the body, counted in the body itself and not by the loader's rules. */
  items: number
  /** Each play once. */
  plays: PlayClaim[]
  /** Items that are one of these plays once more. */
  repeats: number
  rejects: RejectClaim[]
  dropped: Partial<Record<DropReason, number>>
  /** The record itself must be a dead letter: it cannot be decoded, or is no page. */
  isDead: boolean
}

/** The page that rows name. */
export interface PageClaim {
  userId: string
  partition: number
  offset: number
  timestamp: number
  /** Which log of its partition it was read from. */
  incarnation: number
}

/** A play as its row says it, with the page that the row names. */
export interface NamedPlay extends PlayClaim {
  page: Place
}

/** Dead letters of the loader. */
export interface DeadRecords {
  /** Records that died as a whole: nothing of them is stored. */
  whole: ReadonlySet<Place>
  /** Pages that are dead letters for some of their items; the others are stored. */
  inPart: ReadonlySet<Place>
}

/** What the database and the dead letters say of a batch of claims. */
export interface Evidence {
  /** The page that stored each play, in the order of the claims; null: there is no such row. */
  storedBy: (Place | null)[]
  /** Of plays without a row: whether the loader rejected the item when it came. */
  wasRejected: ReadonlySet<PlayClaim>
  /** The page that reported each rejected item; null: it is not remembered. */
  reportedBy: (Place | null)[]
  /** Rows that name the pages of this batch. */
  named: readonly NamedPlay[]
  dead: DeadRecords
  /** Whether the record of a place is counted as well. */
  isCounted: (place: PageClaim) => boolean
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
    unclaimed: 0,
    faults: [],
    moreFaults: 0,
  }
}

/** Faults kept in words: after a real loss there may be millions. */
export const maxFaults = 1_000

function addFault(account: Account, place: Place, text: string): void {
  if (account.faults.length < maxFaults) account.faults.push(`${toWords(place)}: ${text}`)
  else account.moreFaults++
}

/** Adds a batch to the account. */
export function addClaims(account: Account, batch: readonly Claims[], evidence: Evidence): void {
  const storedBy = evidence.storedBy.values()
  const reportedBy = evidence.reportedBy.values()
  account.records += batch.length
  for (const claims of batch) {
    addRecord(account, claims, evidence.dead)
    for (const play of claims.plays)
      addPlay(account, { claims, play, by: storedBy.next().value ?? null }, evidence)
    for (const _ of claims.rejects)
      addReject(account, { claims, by: reportedBy.next().value ?? null }, evidence.dead)
  }
  addNamed(account, batch, evidence.named)
}

function addRecord(account: Account, claims: Claims, { whole }: DeadRecords): void {
  account.items += claims.items
  account.duplicates += claims.repeats
  for (const [reason, n] of Object.entries(claims.dropped)) {
    account.dropped[reason] = (account.dropped[reason] ?? 0) + n
  }
  if (!claims.isDead) return
  if (whole.has(claims.place)) account.deadPages++
  else addFault(account, claims.place, 'is no page, and has no dead letter')
}

interface Finding {
  claims: Claims
  by: Place | null
}

function addPlay(
  account: Account,
  { claims, play, by }: Finding & { play: PlayClaim },
  { dead, wasRejected, isCounted }: Evidence,
): void {
  const { page, place } = claims
  const own = page && toPlace(page)
  // Of a page and its copy that a restore put back, the page has stored what both show.
  const isCopy = page !== null && own !== place && isCounted(page)
  if (by === own && !isCopy) account.stored++
  else if (by !== null) account.duplicates++
  else if (dead.whole.has(place)) account.deadLettered++
  else if (wasRejected.has(play)) account.rejected++
  else {
    account.missing++
    addFault(account, place, `${toText(play)} is not stored`)
  }
}

function addReject(account: Account, { claims, by }: Finding, { whole, inPart }: DeadRecords): void {
  const { page, place } = claims
  account.rejected++
  if (whole.has(place)) return
  if (by === null) addFault(account, place, 'a rejected item is not remembered')
  if (by !== null && page && by === toPlace(page) && !inPart.has(place)) {
    addFault(account, place, 'holds an item that was rejected, and has no dead letter')
  }
}

/** The other way round: what rows say of the pages, whatever the pages show. */
function addNamed(account: Account, batch: readonly Claims[], named: readonly NamedPlay[]): void {
  const shown = new Set(
    batch.flatMap(({ page, plays }) => (page ? plays.map((play) => keyOf(toPlace(page), play)) : [])),
  )
  for (const play of named) {
    if (shown.has(keyOf(play.page, play))) continue
    account.unclaimed++
    addFault(account, play.page, `${toText(play)} is stored under this page, which does not show it`)
  }
}

const keyOf = (page: Place, { userId, playedAt, trackId }: PlayClaim) =>
  `${page} ${userId} ${playedAt} ${trackId}`

function toText({ trackId, userId, playedAt }: PlayClaim): string {
  return `${trackId} of user ${userId} at ${new Date(playedAt).toISOString()}`
}
