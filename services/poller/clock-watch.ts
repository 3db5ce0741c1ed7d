import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { PageTime } from './clock.ts'
import { notices } from './notices.ts'

/** Reports a clock that is wrong, and its end; after a start nobody knows whether there is one to end. */
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
