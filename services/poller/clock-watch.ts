import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { PageTime } from './clock.ts'
import { notices } from './notices.ts'

/** Raises the event about a wrong clock and resolves it. After a start it may still be open from before. */
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
