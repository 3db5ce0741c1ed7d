import { isRecordFault, messageOf, overRecords } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Refusal } from '../../lib/spotify/budget.ts'
import type { Asked, Gateway } from '../../lib/spotify/gateway.ts'
import type { Answer } from '../../lib/spotify/http-answer.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import { withPermit } from '../../lib/spotify/permit.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import type { AppSession } from './app-session.ts'
import type { EntityAnswer, Looked, Lookup } from './lookup.ts'
import { endpoints } from './route.ts'
import { elementSlices } from './slices.ts'

function toPaused(refusal: Refusal | null): Looked {
  if (!refusal) throw new Error('The budget neither granted nor refused a request')
  const { reason, detail, retryAfterMs } = refusal
  return { type: 'paused', reason: `${reason}: ${detail}`, forMs: retryAfterMs }
}

interface Question {
  kind: MetadataKind
  ids: readonly string[]
  signal: AbortSignal
}

type Answered = Extract<Asked, { type: 'answered' }>

/** A pause of this length is worth an event. */
const longPauseMs = 5 * 60_000
const lane = 'enrichment'
const subject = `lane:${lane}`

/**
 * Asks Spotify with the app's own token. Each request takes a permit from the shared budget first, and a pause that
 * Spotify asks for is stored for all processes. A call never waits for budget or pause.
 */
export function openSpotifyLookup(options: {
  gateway: Gateway
  session: AppSession
  incidents: Incidents
  log: Logger
}): Lookup {
  const { gateway, session, incidents, log } = options
  /** Whether the event of a pause may be open; after a start it may be open from before. */
  let pauseTold = true

  async function ask(
    kind: MetadataKind,
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<Answered | Looked> {
    const { permits, refusal } = await gateway.reserve(lane, 1)
    const [permit] = permits
    if (permit) return withPermit(permit, () => askPaid(permit, { kind, ids, signal }))
    return toPaused(refusal)
  }

  /** Asks for the app's token only after a permit is granted, because the token may cost a request as well. */
  async function askPaid(permit: Permit, { kind, ids, signal }: Question): Promise<Answered | Looked> {
    const login = await session.get()
    if (login.type === 'paused') return login
    const { path } = endpoints[kind]
    const single = ids.length === 1
    const call = {
      kind: single ? ('entity' as const) : ('batch' as const),
      lane,
      path: single ? `${path}/${ids[0]}` : path,
      ...(!single && { query: { ids: ids.join(',') } }),
      accessToken: login.accessToken,
      signal,
    } as const
    const asked = await gateway.get(call, permit)
    if (asked.type === 'refused') return toPaused(asked.refusal)
    if (asked.answer.outcome.type === 'unauthorized') session.invalidate(login.accessToken)
    return asked
  }

  async function pauseFor({ answer, pause }: Answered): Promise<Looked | null> {
    if (!pause) return null
    const reason = describeOutcome(answer.outcome)
    if (pause.ms >= longPauseMs) {
      pauseTold = true
      await incidents.raise({
        type: 'spotify_paused',
        subject,
        severity: 'warning',
        message: `Metadata wait: Spotify answered ${reason}. Nothing to do; it goes on by itself.`,
      })
    }
    return { type: 'paused', reason, forMs: pause.ms }
  }

  /** Resolves the event of a pause. An outage of our servers must not lose the answer: a later one resolves it. */
  async function onAnswer(): Promise<void> {
    try {
      if (pauseTold)
        await incidents.resolve({ type: 'spotify_paused', subject, message: 'Metadata flow again.' })
      pauseTold = false
    } catch (error) {
      if (isRecordFault(error)) throw error
      log.warn({ reason: messageOf(error) }, 'books_postponed')
    }
  }

  return {
    async look(kind, ids, signal) {
      let asked = await ask(kind, ids, signal)
      if (asked.type === 'answered' && asked.answer.outcome.type === 'unauthorized') {
        asked = await ask(kind, ids, signal)
      }
      if (asked.type !== 'answered') return asked
      const { answer } = asked
      const looked = overRecords(() => toLooked(kind, ids, answer))
      if (looked.type === 'failed') return (await pauseFor(asked)) ?? looked
      if (looked.type === 'answers') await onAnswer()
      return looked
    },
  }
}

/**
 * Reads an answer. For a single id a 404 or a 400 is an answer; for a batch it says nothing about any id. A 404 that
 * is not about the entity comes from a wrong address or a proxy, and must not be stored as "not found".
 */
export function toLooked(kind: MetadataKind, ids: readonly string[], answer: Answer): Looked {
  const { outcome, status, body, fetchedAt } = answer
  const [id = ''] = ids
  const { batch, single } = endpoints[kind]
  // Spotify words a 403 for audio features in many ways. A lapsed Premium refuses the whole app and pauses the lane.
  const noFeatures = kind === 'audio-features' && status === 403 && outcome.type !== 'premium_lapsed'
  if (outcome.type === 'gated' || noFeatures)
    return { type: 'gated', capability: ids.length === 1 ? single : batch }
  if (ids.length > 1) {
    if (outcome.type === 'ok') return splitBatch(kind, ids, answer)
    if (outcome.type === 'bad_request') return { type: 'answers', answers: new Map() }
  } else if (
    outcome.type === 'ok' ||
    outcome.type === 'bad_request' ||
    (outcome.type === 'not_found' && isAboutEntity(body))
  ) {
    return { type: 'answers', answers: new Map([[id, { status: status ?? 0, body, fetchedAt }]]) }
  }
  return { type: 'failed', reason: describeOutcome(outcome) }
}

function isAboutEntity(body: Buffer): boolean {
  try {
    const { error } = JSON.parse(body.toString('utf8'))
    return error.status === 404 && error.message !== 'Service not found'
  } catch {
    return false
  }
}

/** Spotify keeps the order and puts null for unknown ids. In an array of another length no entity has a known id. */
function splitBatch(kind: MetadataKind, ids: readonly string[], { body, fetchedAt }: Answer): Looked {
  const slices = elementSlices(body, endpoints[kind].property)
  const answers = new Map<string, EntityAnswer>()
  if (slices?.length === ids.length) {
    for (const [place, id] of ids.entries()) {
      const slice = slices[place] ?? Buffer.alloc(0)
      answers.set(id, { status: slice.equals(jsonNull) ? 404 : 200, body: slice, fetchedAt })
    }
  }
  return { type: 'answers', answers }
}

const jsonNull = Buffer.from('null')
