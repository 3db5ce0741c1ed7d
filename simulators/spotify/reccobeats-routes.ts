import type { FastifyInstance } from 'fastify'
import { json, send } from '../answer.ts'
import { fraction, hash32 } from '../random.ts'
import { idsOf } from './api-routes.ts'
import type { Track } from './catalogue.ts'
import { toAudioFeatures } from './shapes.ts'
import type { World } from './world.ts'

/** Further ids are ignored. */
const batchSize = 40

/**
 * api.reccobeats.com under `/reccobeats/v1`. It knows only a part of the catalogue, omits unknown ids, answers in
 * an order of its own and has no `time_signature`.
 */
export function reccobeatsRoutes(app: FastifyInstance, world: World): void {
  app.get('/reccobeats/v1/audio-features', async (request, reply) => {
    const fault = world.faults.next({ endpoint: 'reccobeats', listener: null })
    if (fault) world.tally.faults[fault.name] = (world.tally.faults[fault.name] ?? 0) + 1
    const tracks = idsOf(request)
      .slice(0, batchSize)
      .flatMap((id) => trackOf(world, id) ?? [])
    const content = tracks.map((track) => toFeatures(world.options.seed, track))
    content.sort((a, b) => (a.id < b.id ? -1 : 1))
    const answer = fault?.effect.answer ?? json(200, { content })
    const key = `reccobeats ${answer.status}`
    world.tally.answers[key] = (world.tally.answers[key] ?? 0) + 1
    return send(reply, answer, { delivery: fault?.effect.delivery ?? 'whole', times: world.options })
  })
}

function trackOf(world: World, id: string): Track | null {
  const index = world.catalogue.trackIndex(id)
  if (index === null) return null
  const known = fraction(world.options.seed, 91, index) < world.options.reccobeatsCoverage
  return known ? world.catalogue.track(index) : null
}

function toFeatures(seed: number, track: Track) {
  const { danceability, energy, loudness, mode, speechiness } = toAudioFeatures(seed, track)
  const { acousticness, instrumentalness, liveness, valence, tempo } = toAudioFeatures(seed, track)
  const undetected = fraction(seed, 92, track.index) < 0.02
  return {
    id: toUuid(seed, track.index),
    href: `https://open.spotify.com/track/${track.id}`,
    isrc: track.isrc,
    acousticness,
    danceability,
    energy,
    instrumentalness,
    key: undetected ? -1 : toAudioFeatures(seed, track).key,
    liveness,
    loudness,
    mode,
    speechiness,
    tempo,
    valence,
  }
}

function toUuid(seed: number, index: number): string {
  const words = [1, 2, 3, 4].map((word) => hash32(seed, 93, index, word).toString(16).padStart(8, '0'))
  const digits = words.join('')
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `8${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join('-')
}
