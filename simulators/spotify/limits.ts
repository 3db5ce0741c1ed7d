/** Limits per client id: a rolling window of 30 seconds, and a quota whose window begins with its first request. */
export interface LimitOptions {
  requestsPer30Seconds: number
  dailyRequests: number
  quotaWindowMs: number
}

export type LimitVerdict =
  | { type: 'allowed' }
  | { type: 'rate-limited'; retryAfterSeconds: number }
  | { type: 'quota-exceeded'; retryAfterSeconds: number }

interface Usage {
  /** Requests by second of the clock, for the last 30 seconds. */
  seconds: Map<number, number>
  quotaStart: number
  quotaUsed: number
}

export function createLimits(options: LimitOptions): { take(client: string, now: number): LimitVerdict } {
  const clients = new Map<string, Usage>()
  return {
    take(client, now) {
      const usage = clients.get(client) ?? { seconds: new Map(), quotaStart: now, quotaUsed: 0 }
      clients.set(client, usage)
      return take(usage, options, now)
    },
  }
}

function take(usage: Usage, options: LimitOptions, now: number): LimitVerdict {
  const quotaEnd = usage.quotaStart + options.quotaWindowMs
  if (now >= quotaEnd) Object.assign(usage, { quotaStart: now, quotaUsed: 0 })
  else if (usage.quotaUsed >= options.dailyRequests) {
    return { type: 'quota-exceeded', retryAfterSeconds: Math.ceil((quotaEnd - now) / 1000) }
  }
  const second = Math.floor(now / 1000)
  for (const old of usage.seconds.keys()) if (old <= second - 30) usage.seconds.delete(old)
  const recent = [...usage.seconds.values()].reduce((sum, count) => sum + count, 0)
  if (recent >= options.requestsPer30Seconds) {
    const oldest = Math.min(...usage.seconds.keys())
    return { type: 'rate-limited', retryAfterSeconds: Math.max(1, oldest + 30 - second) }
  }
  usage.seconds.set(second, (usage.seconds.get(second) ?? 0) + 1)
  usage.quotaUsed += 1
  return { type: 'allowed' }
}
