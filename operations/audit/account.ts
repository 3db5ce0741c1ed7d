import type { DropReason } from '../../services/loader/item.ts'
import type { Account } from './report.ts'

/**
 * Identifies a record as `partition/offset@timestamp`: a topic that is made again repeats its places. For a page it
 * is where the page lay first; for a record, where it lies now.
 */
export type Place = string

export function toPlace(of: { partition: number; offset: number; timestamp: number }): Place {
  return `${of.partition}/${of.offset}@${of.timestamp}`
}

/** The place as an operator writes it: `partition/offset`. */
function toWords(place: Place): string {
  return place.slice(0, place.indexOf('@'))
}

/** A play that a page holds. */
export interface PlayClaim {
  userId: string
  /** Unix time in milliseconds. */
  playedAt: number
  trackId: string
}

/** An item that the loader must have rejected. */
export interface RejectClaim {
  userId: string
  digest: string
}

/** The outcome that a record of the topic must have had. */
export interface Claims {
  place: Place
  /** The page, whose place differs from the record's if a restore put it back; null if the record is not a page. */
  page: PageClaim | null
  /** Number of items in the body, counted without the loader's rules. */
  items: number
  /** The distinct plays. */
  plays: PlayClaim[]
  /** Number of items that repeat one of these plays. */
  repeats: number
  rejects: RejectClaim[]
  dropped: Partial<Record<DropReason, number>>
  /** The record itself must be a dead letter: it cannot be decoded, or is not a page. */
  isDead: boolean
}

/** The page that rows name. */
export interface PageClaim {
  userId: string
  partition: number
  offset: number
  timestamp: number
  /** The log of its partition that it was read from. */
  incarnation: number
}

/** A stored play, with the page that its row names. */
export interface NamedPlay extends PlayClaim {
  page: Place
}

/** Dead letters of the loader. */
export interface DeadRecords {
  /** Records that are dead letters as a whole: nothing of them is stored. */
  whole: ReadonlySet<Place>
  /** Pages that are dead letters for some of their items; their other items are stored. */
  inPart: ReadonlySet<Place>
}

/** What the database and the dead letters say about a batch of claims. */
export interface Evidence {
  /** The page that stored each play, in the order of the claims, or null if it has no row. */
  storedBy: (Place | null)[]
  /** The plays without a row whose item the loader rejected when it came. */
  wasRejected: ReadonlySet<PlayClaim>
  /** The page that reported each rejected item, or null if the item is not remembered. */
  reportedBy: (Place | null)[]
  /** Rows that name the pages of this batch. */
  named: readonly NamedPlay[]
  dead: DeadRecords
  /** Whether the audit also counts the record at a page's place. */
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

/** Most faults kept as text: after a real loss there may be millions. */
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
  // A restore may have put a copy of a page back: the original has then stored the plays that both show.
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

/** Checks the other direction: a row that names a page must be one of the plays that the page shows. */
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
