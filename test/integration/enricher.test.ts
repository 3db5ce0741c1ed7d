import { beforeEach, describe, expect, test } from 'vitest'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { MetadataKind, OperationalEvent, SpotifyResponse, Topic } from '../../lib/topology.ts'
import { transientFaults } from '../../simulators/spotify/faults.ts'
import { toId } from '../../simulators/spotify/ids.ts'
import type { SpotifySimulatorOptions } from '../../simulators/spotify/options.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { startService, stopServices } from '../support/service.ts'
import { killServices, spawnService } from '../support/service-process.ts'
import { spotifyTestEnv } from '../support/spotify.ts'
import { until } from '../support/until.ts'

let stream: Stream
let kafka: Kafka
let admin: Admin
let postgres: Postgres
const simulators: SpotifySimulator[] = []

beforeEach(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  postgres = stream.openPostgres(2)
  return async () => {
    await Promise.all([killServices(), stopServices()])
    for (const sim of simulators.splice(0)) await sim.stop()
    await admin.close()
    await stream.release()
  }
})

async function startSim(options: Partial<SpotifySimulatorOptions> = {}): Promise<SpotifySimulator> {
  const sim = await startSpotifySimulator({ plays: 'none', ...options })
  simulators.push(sim)
  return sim
}

/** Settings, which a second enricher shares to be the same app. */
const settingsFor = (sim: SpotifySimulator, more: Record<string, string> = {}) => ({
  ...stream.env,
  ...spotifyTestEnv(sim),
  LOG_LEVEL: 'info',
  ENRICH_LINGER_SECONDS: '1',
  ...more,
})

const artists = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => toId(1, 'artist', from + i))
const tracks = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => toId(1, 'track', from + i))

async function want(kind: string, ids: string[], key?: string): Promise<void> {
  const requestedAt = Date.now()
  await kafka.publish(
    stream.topology.metadataWanted,
    ids.map((id) => ({ key: key ?? `${kind}:${id}`, value: { kind, id, requestedAt } })),
  )
}

async function lag(): Promise<number> {
  const { partitions } = await admin.readGroupLag(stream.topology.groups.enricher, [
    stream.topology.metadataWanted.name,
  ])
  return partitions.reduce((sum, p) => sum + p.lag, 0)
}

const settled = (withinMs?: number) =>
  until(async () => (await lag()) === 0, 'every request is committed', withinMs)

interface Published extends SpotifyResponse {
  provider: string | null
}

async function decodeAll<V>(topic: Topic<V>): Promise<{ value: V; key: string; provider: string | null }[]> {
  const records = await stream.readTopic(topic.name)
  return Promise.all(
    records.map(async (r) => {
      const decoded = await stream.codec.decode<V>(r.bytes)
      if (decoded.type !== 'value') throw new Error(decoded.message)
      return { value: decoded.value, key: String(r.key), provider: headerText(r, 'provider') }
    }),
  )
}

/** The newest answer of each key, as after compaction. */
async function answers(): Promise<Map<string, Published>> {
  const all = await decodeAll(stream.topology.metadata)
  return new Map(all.map(({ key, value, provider }) => [key, { ...value, provider }]))
}

const events = async (): Promise<OperationalEvent[]> =>
  (await decodeAll(stream.topology.events)).map((e) => e.value)

/** The bytes that a simulator sends for one entity. */
async function bytesOf(sim: SpotifySimulator, path: string): Promise<Buffer> {
  const login = await fetch(`${sim.url}/api/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('other:secret').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  const { access_token } = (await login.json()) as { access_token: string }
  const response = await fetch(`${sim.url}/v1${path}`, {
    headers: { authorization: `Bearer ${access_token}` },
  })
  return Buffer.from(await response.arrayBuffer())
}

const keysOf = (kind: MetadataKind, ids: string[]) => ids.map((id) => `${kind}:${id}`).toSorted()

describe('answers', () => {
  test('come one by one, byte for byte, where the app may not ask in batches; that is found out once', async () => {
    const sim = await startSim({ mode: 'development' })
    const settings = settingsFor(sim)
    const first = await startService('enricher', settings)
    const ids = artists(30)
    await want('artist', ids)
    await settled()
    const published = await answers()
    expect([...published.keys()].toSorted()).toEqual(keysOf('artist', ids))
    for (const id of ids.slice(0, 5)) {
      expect(published.get(`artist:${id}`)).toMatchObject({
        endpoint: 'artist',
        subject: id,
        source: 'enrich',
        status: 200,
      })
      expect(published.get(`artist:${id}`)?.body).toEqual(await bytesOf(sim, `/artists/${id}`))
    }
    await first.stop()
    await startService('enricher', settings)
    await want('artist', artists(5, 100))
    await settled()
    expect(sim.stats().answers).toMatchObject({ 'artists 403': 1 })
    expect((await events()).map((e) => `${e.type} ${e.subject}`)).toEqual([
      'spotify_endpoint_gated endpoint:artists.batch',
    ])
  })

  test('of a batch are the bytes of each entity; null in place is a 404', async () => {
    const sim = await startSim({ mode: 'extended' })
    const unknown = toId(2, 'artist', 1)
    const ids = [...artists(119), unknown]
    await want('artist', ids)
    await want('track', tracks(60))
    await startService('enricher', settingsFor(sim))
    await settled()
    const published = await answers()
    expect(published.size).toBe(180)
    expect(published.get(`artist:${unknown}`)).toMatchObject({ status: 404, body: Buffer.from('null') })
    for (const id of ids.slice(0, 3)) {
      expect(published.get(`artist:${id}`)?.body).toEqual(await bytesOf(sim, `/artists/${id}`))
    }
    const { 'artists 200': batches = 0, 'tracks 200': trackBatches = 0 } = sim.stats().answers
    expect(batches).toBeLessThanOrEqual(4)
    expect(trackBatches).toBeLessThanOrEqual(3)
  })

  test('404 for a single id is an answer, as received', async () => {
    const sim = await startSim({ mode: 'development' })
    const unknown = toId(2, 'track', 1)
    await startService('enricher', settingsFor(sim))
    await want('track', [unknown])
    await settled()
    const answer = (await answers()).get(`track:${unknown}`)
    expect(answer?.status).toBe(404)
    expect(JSON.parse(String(answer?.body))).toEqual({
      error: { status: 404, message: 'Resource not found' },
    })
  })

  test('a request that cannot be asked is a dead letter and costs its neighbours nothing', async () => {
    const sim = await startSim({ mode: 'extended' })
    await startService('enricher', settingsFor(sim))
    const [good = ''] = artists(1)
    await want('podcast', [good])
    await want('artist', ['../me', '', 'x'.repeat(22_000)])
    await want('artist', artists(1, 5), 'artist:other')
    await want('artist', [good])
    await settled()
    const letters = await stream.readTopic(stream.topology.deadLetters.name)
    expect(letters.map((r) => headerText(r, 'dlq.reason')).toSorted()).toEqual([
      ...['invalid_key', 'invalid_record', 'invalid_record', 'invalid_record', 'unknown_kind'],
    ])
    expect([...(await answers()).keys()]).toEqual([`artist:${good}`])
  })
})

describe('audio features', () => {
  test('auto: Spotify is tried once, then ReccoBeats answers; what it leaves out is a 404', async () => {
    const sim = await startSim({ mode: 'development', reccobeatsCoverage: 0.6 })
    await startService('enricher', settingsFor(sim))
    const ids = tracks(100)
    await want('audio-features', ids)
    await settled()
    const published = await answers()
    expect([...published.keys()].toSorted()).toEqual(keysOf('audio-features', ids))
    const found = [...published.values()].filter((a) => a.status === 200)
    const missing = [...published.values()].filter((a) => a.status === 404)
    expect(found.length + missing.length).toBe(100)
    expect(found.length).toBeGreaterThan(30)
    expect(missing.length).toBeGreaterThan(10)
    for (const answer of found) {
      const entity = JSON.parse(String(answer.body))
      expect(entity.href).toBe(`https://open.spotify.com/track/${answer.subject}`)
      expect(entity).toHaveProperty('danceability')
      expect(answer.provider).toBe('reccobeats')
    }
    expect(sim.stats().answers['audio-features 403']).toBe(1)
  })

  test('come from Spotify where it answers the app', async () => {
    const sim = await startSim({ mode: 'extended' })
    const ids = tracks(150)
    await want('audio-features', ids)
    await startService('enricher', settingsFor(sim))
    await settled()
    const published = await answers()
    expect([...published.values()].every((a) => a.status === 200 && a.provider === 'spotify')).toBe(true)
    expect(published.size).toBe(150)
    expect(sim.stats().answers).not.toHaveProperty('reccobeats 200')
  })

  test('that ReccoBeats has for none of a batch are missing, as its address is right', async () => {
    const sim = await startSim({ reccobeatsCoverage: 0 })
    const notFound = {
      status: 404,
      headers: { 'content-type': 'application/json' },
      body: '{"error":"Not Found"}',
    }
    sim.scriptFault({ endpoint: 'reccobeats', answer: notFound })
    const provider = { AUDIO_FEATURES_PROVIDER: 'reccobeats' }
    const enricher = await startService('enricher', settingsFor(sim, provider))
    await want('audio-features', tracks(3))
    await settled()
    expect([...(await answers()).values()].map((a) => a.status)).toEqual([404, 404, 404])
    expect(sim.stats().answers).toMatchObject({ 'reccobeats 404': 1 })
    expect(enricher.lines.filter((l) => l.msg === 'lookups_wait')).toEqual([])
  })

  test('none: requests are acknowledged and nobody is asked', async () => {
    const sim = await startSim()
    const enricher = await startService('enricher', settingsFor(sim, { AUDIO_FEATURES_PROVIDER: 'none' }))
    await want('audio-features', tracks(10))
    await settled()
    expect(sim.stats().answers).toEqual({})
    expect(await enricher.metric('songswap_entities_enriched_total', { result: 'dropped' })).toBe(10)
    expect((await answers()).size).toBe(0)
  })

  test('flow from ReccoBeats while Spotify wants a pause, and the other way round', async () => {
    const sim = await startSim({ mode: 'development' })
    sim.scriptFault({ fault: 'quota_exceeded', endpoint: 'artists', count: 1_000 })
    const settings = settingsFor(sim, { AUDIO_FEATURES_PROVIDER: 'reccobeats' })
    const first = await spawnService('enricher', settings)
    await want('artist', artists(20))
    await want('audio-features', tracks(50))
    await until(async () => (await answers()).size === 50, 'all features are published')
    expect(sim.stats().answers['artists 429']).toBe(1)
    const { rows } = await postgres.query(
      `select lane from api_pauses where paused_until > now() + interval '1 hour' order by lane`,
    )
    expect(rows).toEqual([{ lane: 'enrichment' }])
    expect((await events()).map((e) => `${e.type} ${e.state}`)).toEqual(['spotify_paused raised'])

    // The pause is shared and outlives a restart; after it nothing is lost.
    await first.end('SIGKILL')
    await spawnService('enricher', settings)
    sim.clearFaults()
    sim.scriptFault({ fault: 'rate_limited', endpoint: 'reccobeats', retryAfterSeconds: 600 })
    await endPauses()
    await want('audio-features', tracks(3, 500))
    await want('artist', artists(3, 500))
    await until(async () => (await answers()).size >= 73, 'all artists are published', 60_000)
    expect((await events()).map((e) => `${e.type} ${e.state}`)).toContain('spotify_paused resolved')
  })
})

const endPauses = () => postgres.query(`update api_pauses set paused_until = null`)

describe('when Spotify fails', () => {
  test('an expired token is replaced, once', async () => {
    const sim = await startSim({ mode: 'extended' })
    sim.scriptFault({ fault: 'expired_token', endpoint: 'artists' })
    await startService('enricher', settingsFor(sim))
    await want('artist', artists(3))
    await settled()
    expect(sim.stats().answers).toMatchObject({ 'artists 401': 1, 'artists 200': 1 })
    expect((await answers()).size).toBe(3)
  })

  for (const mode of ['development', 'extended'] as const) {
    test(`every fault that heals is outlived, in ${mode} mode: all are answered, none is a dead letter`, async () => {
      const sim = await startSim({ mode, hangMs: 3_000 })
      const shares = transientFaults.map((name) => [name, mode === 'development' ? 0.02 : 0.05] as const)
      sim.setFaults(Object.fromEntries(shares))
      await startService('enricher', settingsFor(sim))
      const wanted = [...artists(40), toId(2, 'artist', 7)]
      await want('artist', wanted)
      await want('audio-features', tracks(40))
      await settled(55_000)
      const published = await answers()
      expect([...published.keys()].toSorted()).toEqual(
        [...keysOf('artist', wanted), ...keysOf('audio-features', tracks(40))].toSorted(),
      )
      expect(await stream.readTopic(stream.topology.deadLetters.name)).toEqual([])
      expect([...published.values()].filter((a) => a.status !== 200 && a.status !== 404)).toEqual([])
      for (const id of wanted.slice(0, 5)) {
        sim.clearFaults()
        expect(published.get(`artist:${id}`)?.body).toEqual(await bytesOf(sim, `/artists/${id}`))
      }
    })
  }

  test('a wrong address marks nothing as missing', async () => {
    const sim = await startSim({ mode: 'development' })
    const wrong = { SPOTIFY_API_URL: `${sim.url}/v2`, RECCOBEATS_URL: `${sim.url}/nowhere` }
    const enricher = await startService(
      'enricher',
      settingsFor(sim, { ...wrong, AUDIO_FEATURES_PROVIDER: 'reccobeats' }),
    )
    await want('artist', artists(1))
    await want('audio-features', tracks(1))
    await until(
      () => enricher.lines.filter((l) => l.msg === 'lookups_wait').length >= 4,
      'both sources have failed',
    )
    expect((await answers()).size).toBe(0)
    expect(await lag()).toBe(2)
  })

  test('refused credentials raise an event and ask seldom', async () => {
    const sim = await startSim({ client: { id: 'right', secret: 'right', redirectUris: [] } })
    const enricher = await startService('enricher', settingsFor(sim, { SPOTIFY_CLIENT_ID: 'wrong' }))
    await want('artist', artists(3))
    await until(async () => (await events()).length > 0, 'the event is raised')
    expect((await events()).map((e) => e.type)).toEqual(['spotify_credentials'])
    await until(() => enricher.lines.some((l) => l.msg === 'lookups_wait'), 'it waits')
    expect(await enricher.metric('songswap_spotify_requests_total', { lane: 'accounts' })).toBe(1)
  })
})

describe('one id that always fails', () => {
  test('holds up nobody, frees its partition, and is asked for again later', async () => {
    const sim = await startSim({ mode: 'development' })
    const broken = { status: 500, headers: { 'content-type': 'text/plain' }, body: 'broken' }
    sim.scriptFault({ endpoint: 'artist', answer: broken, count: 1_000_000 })
    const [bad = ''] = artists(1)
    await want('artist', [bad])
    const wanted = tracks(20)
    await want('track', wanted)
    const enricher = await spawnService('enricher', settingsFor(sim))
    await settled(60_000)
    expect([...(await answers()).keys()].toSorted()).toEqual(keysOf('track', wanted))
    const { rows } = await postgres.query('select kind, id, attempts from deferred_lookups')
    expect(rows).toEqual([{ kind: 'artist', id: bad, attempts: 4 }])
    expect((await stream.readTopic(stream.topology.deadLetters.name)).length).toBe(0)
    await enricher.end('SIGKILL')
    sim.clearFaults()
    await postgres.query('update deferred_lookups set next_ask_at = now()')
    await spawnService('enricher', settingsFor(sim))
    await until(async () => (await answers()).has(`artist:${bad}`), 'it is answered')
    await until(
      async () => (await postgres.query('select from deferred_lookups')).rowCount === 0,
      'it is forgotten',
    )
  })
})

describe('the budget', () => {
  test('is never exceeded, and what it does not allow waits', async () => {
    const sim = await startSim({ mode: 'development' })
    const enricher = await startService('enricher', settingsFor(sim, { SPOTIFY_DAILY_REQUESTS: '8' }))
    await want('artist', artists(20))
    await until(() => enricher.lines.some((l) => String(l.reason).startsWith('spent')), 'the budget is spent')
    const { 'artists 403': probes = 0, 'artist 200': lookups = 0 } = sim.stats().answers
    expect(probes + lookups).toBe(7)
    expect((await answers()).size).toBe(lookups)
    expect(await lag()).toBeGreaterThan(0)
  })

  test('is left to polling when users need it', async () => {
    const sim = await startSim({ mode: 'development' })
    await postgres.query(`insert into users (spotify_id) select 'u' || i from generate_series(1, 5) i`)
    const enricher = await startService('enricher', settingsFor(sim, { SPOTIFY_DAILY_REQUESTS: '300' }))
    await want('artist', artists(5))
    await until(
      () => enricher.lines.some((l) => String(l.reason).startsWith('kept_for_polling')),
      'polling has priority',
    )
    expect(sim.stats().answers).not.toHaveProperty('artist 200')
  })

  test('is not spent on what is stored already', async () => {
    const sim = await startSim({ mode: 'development' })
    const ids = artists(10)
    await postgres.query(
      `insert into artists (id, name, fetched_at, metadata_status, metadata_requested_at)
       select id, 'name', now(), 'found', now() from unnest($1::text[]) id`,
      [ids],
    )
    await want('artist', ids)
    const enricher = await startService('enricher', settingsFor(sim))
    await settled()
    expect(sim.stats().answers).toEqual({})
    expect(await enricher.metric('songswap_entities_enriched_total', { result: 'known' })).toBe(10)
  })
})

describe('ending', () => {
  test('by SIGKILL in the middle loses no request', async () => {
    const sim = await startSim({ mode: 'development', latencyMs: 20 })
    const settings = settingsFor(sim)
    const first = await spawnService('enricher', settings)
    const ids = artists(150)
    await want('artist', ids)
    await until(
      async () => (await first.metric('songswap_entities_enriched_total')) > 40,
      'some are answered',
    )
    await first.end('SIGKILL')
    await spawnService('enricher', settings)
    await settled(60_000)
    expect([...(await answers()).keys()].toSorted()).toEqual(keysOf('artist', ids))
  })

  test('by SIGTERM is done in time while Spotify hangs', async () => {
    const sim = await startSim({ mode: 'development' })
    sim.scriptFault({ fault: 'hang', endpoint: 'artists' })
    const enricher = await spawnService('enricher', settingsFor(sim, { SPOTIFY_TIMEOUT_SECONDS: '60' }))
    await want('artist', artists(3))
    await until(() => sim.stats().faults.hang, 'the request hangs')
    const started = Date.now()
    expect(await enricher.end('SIGTERM')).toBe(0)
    expect(Date.now() - started).toBeLessThan(10_000)
  })
})
