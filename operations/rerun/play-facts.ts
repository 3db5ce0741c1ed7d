import type { Catalogue } from '../../services/loader/catalogue.ts'
import { dayOf } from '../../services/loader/catalogue.ts'
import { idOf } from '../../services/loader/fields.ts'
import { toSeenTrack } from '../../services/loader/seen-track.ts'
import { Sightings } from '../../services/loader/sightings.ts'
import type { PlayLine } from '../account/play-line.ts'

/**
 * The facts about tracks in exported plays, dated by the time at which they were fetched, so that newer facts in the
 * catalogue stay. In older exports, which lack that time, they are dated by the play.
 */
export function toFacts(plays: readonly PlayLine[]): Catalogue {
  const sightings = new Sightings()
  for (const { track, playedAt, fetchedAt = playedAt } of plays) {
    const id = idOf(track)
    if (id === null || fetchedAt === null) continue
    const at = Date.parse(fetchedAt)
    sightings.addTrack(toSeenTrack(id, track), { at, day: dayOf(at) })
  }
  return sightings.toCatalogue()
}
