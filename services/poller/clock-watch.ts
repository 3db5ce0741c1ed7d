import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { PageTime } from './clock.ts'
import { notices } from './notices.ts'

/** Tells of a clock that is wrong, and of its end; of the latter after a start as well, where it is not known. */
export function createClockWatch(incidents: Incidents): (skew: PageTime | null) => Promise<void> {
  let mayBeRaised = true
  return async (skew) => {
    if (skew) {
      mayBeRaised = true
      await incidents.raise(notices.clockSkew(skew))
    } else if (mayBeRaised) {
      await incidents.resolve(notices.over('clock_skew', 'clock'))
      mayBeRaised = false
    }
  }
}
