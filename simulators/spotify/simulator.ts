import formbody from '@fastify/formbody'
import fastify, { type FastifyInstance } from 'fastify'
import { ZodError } from 'zod'
import { accountsRoutes } from './accounts-routes.ts'
import { apiRoutes } from './api-routes.ts'
import { controlRoutes, toStats } from './control-routes.ts'
import { apiError, type FaultName, type FaultScript } from './faults.ts'
import type { ListenerChanges } from './listeners.ts'
import type { ArtistOddity } from './oddities.ts'
import { type SpotifySimulatorOptions, spotifyDefaults } from './options.ts'
import { reccobeatsRoutes } from './reccobeats-routes.ts'
import type { Play } from './timeline.ts'
import type { Truth } from './truth.ts'
import { createWorld, type GivenPlay, type World } from './world.ts'

/** A running simulator. Everything that `/_sim` does over HTTP is here as a method. */
export interface SpotifySimulator {
  /** `http://host:port`: the accounts service; the API is below it at `/v1`. */
  url: string
  /** The settings that point a service here. */
  env: { SPOTIFY_API_URL: string; SPOTIFY_ACCOUNTS_URL: string; RECCOBEATS_URL: string }
  truth: Truth
  now(): number
  advance(ms: number): void
  stats(): ReturnType<typeof toStats>
  /** A refresh token as a listener's consent would give it; `listener` counts from 0. */
  refreshToken(listener: number): string
  /** Plays after `since` (Unix ms; default: the start), shown or not: given ones, then generated ones up to now. */
  happened(listener: number, since?: number): Generator<Play>
  givePlay(listener: number, play?: GivenPlay): Play[]
  changeListener(listener: number, changes: ListenerChanges): void
  makeArtistOdd(artistId: string, oddity: ArtistOddity): void
  scriptFault(script: FaultScript): void
  setFaults(shares: Partial<Record<FaultName, number>>): void
  clearFaults(): void
  stop(): Promise<void>
}

/** @throws when the port is taken */
export async function startSpotifySimulator(
  options: Partial<SpotifySimulatorOptions> = {},
): Promise<SpotifySimulator> {
  const settings = { ...spotifyDefaults, ...options }
  const world = createWorld(settings)
  const app = fastify({ forceCloseConnections: true, exposeHeadRoutes: false })
  await app.register(formbody)
  app.setErrorHandler((error, _, reply) => {
    const bad =
      error instanceof ZodError ||
      (error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500)
    return reply.code(bad ? 400 : 500).send({ error: error instanceof Error ? error.message : String(error) })
  })
  app.setNotFoundHandler((_, reply) => {
    const answer = apiError(404, 'Service not found')
    return reply.code(answer.status).headers(answer.headers).send(answer.body)
  })
  accountsRoutes(app, world)
  apiRoutes(app, world)
  reccobeatsRoutes(app, world)
  controlRoutes(app, world)
  await app.listen({ host: settings.host, port: settings.port })
  return toSimulator(app, world)
}

function toSimulator(app: FastifyInstance, world: World): SpotifySimulator {
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : world.options.port
  const host =
    world.options.host === '0.0.0.0' || world.options.host === '::' ? '127.0.0.1' : world.options.host
  const url = `http://${host}:${port}`
  const { listeners, faults, catalogue } = world
  return {
    url,
    env: { SPOTIFY_API_URL: `${url}/v1`, SPOTIFY_ACCOUNTS_URL: url, RECCOBEATS_URL: `${url}/reccobeats` },
    truth: world.truth,
    now: world.now,
    advance: world.advance,
    stats: () => toStats(world),
    refreshToken: world.refreshToken,
    happened: (listener, since = world.startedAt) =>
      listeners.happened(listener, { now: world.now(), since }),
    givePlay: (listener, play = {}) => world.givePlay(listener, play),
    changeListener: (listener, changes) => void listeners.change(listener, changes, world.now()),
    makeArtistOdd: (artistId, oddity) => {
      const index = catalogue.artistIndex(artistId)
      if (index === null) throw new Error(`no artist ${artistId}`)
      world.makeArtistOdd(index, oddity)
    },
    scriptFault: faults.script,
    setFaults: faults.setShares,
    clearFaults: faults.clear,
    stop: () => app.close(),
  }
}
