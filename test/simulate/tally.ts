/** Causes of lost plays: why the poller did not poll before 50 newer plays. */
export const causes = ['parked_wrongly', 'consent', 'unlisted', 'pause', 'trouble', 'budget'] as const
export type Cause = (typeof causes)[number]

export interface Tally {
  plays: number
  lost: Record<Cause, number>
  /** Raised events by type: true and false ones. */
  alarms: Record<string, { true: number; false: number }>
  requests: Record<'polling' | 'enrichment' | 'accounts' | 'uncounted', number>
  /** Hours in which a user was parked without reason. */
  wronglyParkedHours: number
}

export function emptyTally(): Tally {
  return {
    plays: 0,
    lost: { parked_wrongly: 0, consent: 0, unlisted: 0, pause: 0, trouble: 0, budget: 0 },
    alarms: {},
    requests: { polling: 0, enrichment: 0, accounts: 0, uncounted: 0 },
    wronglyParkedHours: 0,
  }
}

export function noteAlarm(tally: Tally, type: string, isTrue: boolean): void {
  const alarms = tally.alarms[type] ?? { true: 0, false: 0 }
  alarms[isTrue ? 'true' : 'false'] += 1
  tally.alarms[type] = alarms
}

export function lostOf({ lost }: Tally): number {
  return causes.reduce((sum, cause) => sum + lost[cause], 0)
}
