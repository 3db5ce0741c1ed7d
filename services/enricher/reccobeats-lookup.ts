import { Agent } from 'undici'
import { overRecords } from '../../lib/errors.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Answer } from '../../lib/spotify/http-answer.ts'
import { answerOf } from '../../lib/spotify/http-answer.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { EntityAnswer, Looked, Lookup } from './lookup.ts'
import type { PauseStore } from './pause-store.ts'
import { elementSlices } from './slices.ts'

const pauseWithoutHeaderMs = 60_000
const maxBodyBytes = 8 << 20
/** A track that ReccoBeats is likely to keep. */
const knownTrack = '11dFghVXANMlKmJXsNCbNl'

/**
 * Asks ReccoBeats for audio features by Spotify's track ids. It does not publish its limits. A pause that it asks
 * for is stored, so that all processes keep it and it outlives a restart.
 */
export function openReccobeatsLookup(options: {
  url: string
  timeoutMs: number
  pauses: PauseStore
}): Lookup & Resource {
  const { url, timeoutMs, pauses } = options
  const agent = new Agent({ connections: 1, maxResponseSize: maxBodyBytes, connect: { timeout: timeoutMs } })
  /** The address has answered in ReccoBeats' form. */
  let isRight = false

  async function ask(ids: readonly string[], signal: AbortSignal): Promise<Answer> {
    const answer = await answerOf(agent, {
      kind: 'batch',
      url: new URL(`${url}/v1/audio-features?ids=${ids.join(',')}`),
      timeoutMs,
      signal,
    })
    metrics.reccobeatsRequests.inc({ outcome: answer.outcome.type })
    if (answer.outcome.type === 'ok' && elementSlices(answer.body, 'content')) isRight = true
    return answer
  }

  return {
    async look(_kind, ids, signal) {
      const pausedMs = await pauses.pausedForMs()
      if (pausedMs > 0) return { type: 'paused', reason: 'ReccoBeats asked for a pause', forMs: pausedMs }
      const answer = await ask(ids, signal)
      const { outcome } = answer
      if (outcome.type === 'rate_limited' || outcome.type === 'quota_exceeded') {
        const forMs = outcome.retryAfterMs ?? pauseWithoutHeaderMs
        await pauses.pause(forMs, outcome.type)
        return { type: 'paused', reason: describeOutcome(outcome), forMs }
      }
      if (answer.status === 404) {
        // Either it knows none of the ids or the address is wrong: a known track shows which.
        if (!isRight) await ask([knownTrack], signal)
        if (isRight) return { type: 'answers', answers: noneOf(ids, answer.fetchedAt) }
      }
      return overRecords(() => toLooked(ids, answer))
    },
    close: () => agent.destroy(),
  }
}

/** ReccoBeats leaves unknown ids out and keeps no order; the id of an entity is the end of its `href`. */
export function toLooked(ids: readonly string[], { outcome, status, body, fetchedAt }: Answer): Looked {
  // A 400 means that one of the ids is malformed. A 404 that gets here means that the address is wrong.
  if (outcome.type === 'bad_request') {
    const answer = { status: status ?? 0, body, fetchedAt }
    return { type: 'answers', answers: new Map(ids.length === 1 ? ids.map((id) => [id, answer]) : []) }
  }
  if (outcome.type !== 'ok') return { type: 'failed', reason: describeOutcome(outcome) }
  const slices = elementSlices(body, 'content')
  if (!slices) return { type: 'failed', reason: 'the answer has no content' }
  const answers = noneOf(ids, fetchedAt)
  for (const slice of slices) {
    const id = trackIdOf(slice)
    if (id !== null && answers.get(id)?.status === 404)
      answers.set(id, { status: 200, body: slice, fetchedAt })
  }
  return { type: 'answers', answers }
}

function noneOf(ids: readonly string[], fetchedAt: number): Map<string, EntityAnswer> {
  return new Map(ids.map((id) => [id, { status: 404, body: Buffer.alloc(0), fetchedAt }]))
}

function trackIdOf(slice: Buffer): string | null {
  const entity: unknown = JSON.parse(slice.toString('utf8'))
  const href = typeof entity === 'object' && entity !== null ? Reflect.get(entity, 'href') : null
  if (typeof href !== 'string') return null
  return href.split(/[?#]/)[0]?.replace(/\/+$/, '').split('/').at(-1) ?? null
}
