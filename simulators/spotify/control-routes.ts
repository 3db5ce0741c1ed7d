import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { endpoints, type FaultName, isFaultName } from './faults.ts'
import type { Listener } from './listeners.ts'
import { type ArtistOddity, artistOddities, isOneOf, playOddities, trackOddities } from './oddities.ts'
import type { World } from './world.ts'

const faultName = z.custom<FaultName>(
  (value) => typeof value === 'string' && isFaultName(value),
  'unknown fault',
)
const answer = z.object({
  status: z.number().int(),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().default(''),
})
const faultsBody = z.strictObject({
  clear: z.literal(true).optional(),
  shares: z.partialRecord(faultName, z.number().min(0).max(1)).optional(),
  script: z
    .array(
      z.strictObject({
        fault: faultName.optional(),
        answer: answer.optional(),
        count: z.number().int().positive().optional(),
        endpoint: z.enum(endpoints).optional(),
        listener: z.number().int().optional(),
        retryAfterSeconds: z.number().nullable().optional(),
      }),
    )
    .optional(),
})
const changesBody = z.strictObject({
  refreshToken: z.enum(['valid', 'revoked', 'expired']).optional(),
  listed: z.boolean().optional(),
  displayName: z.string().nullable().optional(),
  listening: z.boolean().optional(),
  expireAccessTokens: z.literal(true).optional(),
})
const playBody = z.strictObject({
  playedAt: z.number().int().optional(),
  availableAt: z.number().int().optional(),
  track: z.number().int().nonnegative().optional(),
  oddity: z.enum([...playOddities, ...trackOddities]).optional(),
  item: z.unknown().optional(),
})
const userQuery = z.object({ user: z.string().optional(), since: z.coerce.number().int().optional() })
const rangeQuery = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().default(100),
})

/** The simulator's own API under `/_sim`: reads its state and scripts faults and plays. */
export function controlRoutes(app: FastifyInstance, world: World): void {
  app.get('/_sim/stats', async () => toStats(world))
  app.get('/_sim/listeners', async (request) => {
    const { offset, limit } = rangeQuery.parse(request.query)
    const indices = Array.from({ length: limit }, (_, place) => offset + place)
    return {
      listeners: indices
        .flatMap((index) => world.listeners.get(index) ?? [])
        .map((one) => toSummary(world, one)),
    }
  })
  app.post('/_sim/faults', async (request) => {
    const { clear, shares, script = [] } = faultsBody.parse(request.body)
    if (clear) world.faults.clear()
    if (shares) world.faults.setShares(shares)
    for (const one of script) world.faults.script(withoutUndefined(one))
    return { ok: true }
  })
  app.post('/_sim/advance', async (request) => {
    world.advance(z.strictObject({ ms: z.number().int().nonnegative() }).parse(request.body).ms)
    return { now: world.now() }
  })
  listenerRoutes(app, world)
  truthRoutes(app, world)
}

function listenerRoutes(app: FastifyInstance, world: World): void {
  app.post('/_sim/listeners/:listener', async (request, reply) => {
    const listener = toListener(world, request.params)
    if (listener === null) return reply.code(404).send({ error: 'no such listener' })
    world.listeners.change(listener.index, withoutUndefined(changesBody.parse(request.body)), world.now())
    return toSummary(world, listener)
  })
  app.post('/_sim/listeners/:listener/plays', async (request, reply) => {
    const listener = toListener(world, request.params)
    if (listener === null) return reply.code(404).send({ error: 'no such listener' })
    const plays = world.givePlay(listener.index, withoutUndefined(playBody.parse(request.body)))
    return {
      items: plays.map((play) => world.renderer.item(play).json.toString()).map((item) => JSON.parse(item)),
    }
  })
  app.post('/_sim/artists/:id', async (request, reply) => {
    const index = world.catalogue.artistIndex(z.object({ id: z.string() }).parse(request.params).id)
    const { oddity } = z.strictObject({ oddity: z.string() }).parse(request.body)
    if (index === null || !isOneOf<ArtistOddity>(artistOddities, oddity))
      return reply.code(404).send({ error: 'no such artist or oddity' })
    world.makeArtistOdd(index, oddity)
    return { ok: true }
  })
}

function truthRoutes(app: FastifyInstance, world: World): void {
  app.get('/_sim/truth', async (request, reply) => {
    const { user } = userQuery.parse(request.query)
    const listener = user === undefined ? undefined : world.listeners.find(user)
    if (listener === null) return reply.code(404).send({ error: 'no such listener' })
    const plays = world.truth.delivered(listener?.index)
    return reply.type('application/x-ndjson').send(Readable.from(toLines(plays)))
  })
  app.get('/_sim/happened', async (request, reply) => {
    const { user = '', since = world.startedAt } = userQuery.parse(request.query)
    const listener = world.listeners.find(user)
    if (listener === null) return reply.code(404).send({ error: 'no such listener' })
    const plays = world.listeners.happened(listener.index, { now: world.now(), since })
    return reply.type('application/x-ndjson').send(Readable.from(toLines(plays)))
  })
  app.get('/_sim/pages', async (_, reply) => {
    const pages = world.truth.pages().map(({ body, ...page }) => ({ ...page, body: body.toString('base64') }))
    return reply.type('application/x-ndjson').send(Readable.from(toLines(pages)))
  })
}

export function toStats(world: World) {
  return { now: new Date(world.now()).toISOString(), delivered: world.truth.counts(), ...world.tally }
}

function toSummary(world: World, listener: Listener) {
  const { index, spotifyId, displayName, listed, consentEnded } = listener
  return { index, spotifyId, displayName, listed, consentEnded, refreshToken: world.refreshToken(index) }
}

function toListener(world: World, params: unknown): Listener | null {
  return world.listeners.find(z.object({ listener: z.string() }).parse(params).listener)
}

function* toLines(values: Iterable<unknown>): Generator<string> {
  for (const value of values) yield `${JSON.stringify(value)}\n`
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** JSON does not distinguish an absent field from an undefined one; exactOptionalPropertyTypes does. */
function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>
}
