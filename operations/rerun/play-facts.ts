import type { Catalogue } from '../../services/loader/catalogue.ts'
import { dayOf } from '../../services/loader/catalogue.ts'
import { idOf } from '../../services/loader/fields.ts'
import { toSeenTrack } from '../../services/loader/seen-track.ts'
import { Sightings } from '../../services/loader/sightings.ts'
import type { PlayLine } from '../account/play-line.ts'

/**
 * What exported plays say of their tracks, as of the time at which that was fetched: facts that were old when they
 * were exported are old here too, and newer ones stay. A line from before that time was exported says nothing later
 * than the play itself.
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
