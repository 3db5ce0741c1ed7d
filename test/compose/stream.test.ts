import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nodeFlags } from '../../services/node-flags.ts'
import type { Container, Project } from '../support/compose.ts'
import { createProject, docker } from '../support/compose.ts'
import type { ComposeStream } from '../support/compose-stream.ts'
import { keepPlaying, openComposeStream, readTruth } from '../support/compose-stream.ts'
import { dashboardQueries, exactLabels, metricNames, ruleQueries } from '../support/deployed-metrics.ts'
import { until } from '../support/until.ts'
import {
  archiveFaults,
  deliveryFaults,
  orderFaults,
  playFaults,
  readPublishedPages,
  readStoredPlays,
} from '../support/verify.ts'

/*
 * The containers as an operator has them, seen from outside. The tests are the chapters of one life of the
 * project: each begins where the one before has ended.
 */

const servers = ['kafka', 'postgres', 'registry', 's3']
const services = ['poller', 'archiver', 'loader', 'enricher', 'alerter']
const simulators = ['spotify-simulator', 'discord-simulator']
const oneShots = ['secrets', 'migrate', 'demo-users']
const listeners = 30

let project: Project
let stream: ComposeStream
let tookMs: number
let stopPlaying: () => void

beforeAll(async () => {
  const env = { SIM_LISTENERS: String(listeners), SIM_SPEED: '1', ALERT_LAG_INTERVAL_SECONDS: '5' }
  project = await createProject({ name: 'songswap-compose-test', env })
  await project.compose('down', '--volumes', '--remove-orphans')
  await project.compose('build')
  const began = performance.now()
  await project.compose('up', '--detach', '--wait')
  tookMs = performance.now() - began
  stream = await openComposeStream(project)
  stopPlaying = keepPlaying(project, listeners)
})
afterAll(async () => {
  stopPlaying?.()
  await stream?.close()
  await project?.compose('down', '--volumes', '--timeout', '5')
})

const plays = () => stream.count('plays')
const pages = async () => {
  const ends = (await stream.admin.readEnds(stream.topology.recentlyPlayed.name)) ?? []
  return ends.reduce((sum, p) => sum + p.end, 0)
}
const drained = (group: string) =>
  until(async () => (await stream.lag(group)) === 0, `${group} has caught up`, 120_000)

async function containersOf(names: string[]): Promise<Container[]> {
  return (await project.containers()).filter((c) => names.includes(c.service))
}

describe('docker compose up', () => {
  test('has everything healthy within three minutes, and the one-shots done', async () => {
    expect(tookMs).toBeLessThan(180_000)
    const running = await containersOf([...servers, ...services, ...simulators])
    expect(running.map((c) => c.service).sort()).toEqual([...servers, ...services, ...simulators].sort())
    for (const c of running) expect([c.service, c.state, c.health]).toEqual([c.service, 'running', 'healthy'])
    for (const c of await containersOf(oneShots)) {
      expect([c.service, c.state, c.exitCode]).toEqual([c.service, 'exited', 0])
    }
  })

  test('brings plays, their artists, objects and a message in Discord', async () => {
    await until(async () => (await plays()) > 0, 'plays have arrived')
    const before = await plays()
    await until(async () => (await plays()) > before, 'more plays arrive', 60_000)
    await until(
      async () => (await stream.count(`artists where metadata_status = 'found'`)) > 0,
      'artists are known',
      60_000,
    )
    await until(
      async () => (await stream.s3.list('raw/')[Symbol.asyncIterator]().next()).value,
      'objects are archived',
      90_000,
    )
    const messages = `http://127.0.0.1:${project.ports.discord}/_sim/messages`
    await until(
      async () => (await (await fetch(messages)).text()).includes('Dead letter'),
      'Discord heard of it',
      90_000,
    )
  })

  test('runs our processes without powers, without a writable root, and not as root', async () => {
    for (const { id, service } of await containersOf([...services, ...simulators])) {
      const [one] = JSON.parse(await docker('inspect', id))
      const { CapDrop, ReadonlyRootfs, SecurityOpt, Init, Memory } = one.HostConfig
      expect({ service, CapDrop, ReadonlyRootfs, SecurityOpt, Init, user: one.Config.User }).toEqual({
        ...{ service, CapDrop: ['ALL'], ReadonlyRootfs: true, SecurityOpt: ['no-new-privileges:true'] },
        ...{ Init: true, user: 'node' },
      })
      expect(Memory).toBeGreaterThan(0)
      // Exec form from the first process on: a shell would swallow the signal.
      expect(one.Config.Entrypoint).toEqual(['node', ...nodeFlags])
    }
  })

  test('answers an operator: songswap status', async () => {
    const status = JSON.parse(
      await project.compose('run', '--rm', '-T', '--no-deps', 'songswap', 'status', '--json'),
    )
    expect(status.unreadable).toEqual([])
    expect(status.problems).toEqual([])
    expect(status.plays.count).toBeGreaterThan(0)
    expect(status.budget.left).toBeGreaterThan(0)
  })
})

describe('metrics', () => {
  async function readMetrics(service: string): Promise<string> {
    const script = "fetch('http://127.0.0.1:8080/metrics').then((r) => r.text()).then(console.log)"
    return project.compose('exec', '-T', service, 'node', '-e', script)
  }

  test('that dashboards and rules ask for are exported by the running services', async () => {
    const queries = [...dashboardQueries(), ...ruleQueries()]
    const byService = new Map(
      await Promise.all(services.map(async (s) => [s, await readMetrics(s)] as const)),
    )
    const text = [...byService.values()].join('\n')
    for (const name of new Set(queries.flatMap((q) => metricNames(q.expression)))) {
      const family = text.includes(`# TYPE ${name} `) ? name : name.replace(/_(bucket|sum|count)$/, '')
      expect(text).toContain(`# TYPE ${family} `)
    }
    // What a query asks of one job alone has a value there.
    for (const { expression } of queries) {
      for (const { metric, label, value } of exactLabels(expression)) {
        if (label === 'job') expect(byService.get(value)).toMatch(new RegExp(`^${metric}[ {]`, 'm'))
        if (label === 'for_seconds') expect(text).toContain(`${metric}{for_seconds="${value}"}`)
      }
    }
  })

  test('tell how far every group is, in records and in seconds', async () => {
    const text = await until(async () => {
      const metrics = await readMetrics('alerter')
      return metrics.includes('kafka_consumergroup_group_max_lag_seconds{') && metrics
    }, 'the alerter has sampled the lag')
    for (const group of Object.values(stream.topology.groups)) {
      expect(text).toContain(`kafka_consumergroup_members{consumergroup="${group}"} 1`)
      expect(text).toContain(`kafka_consumergroup_lag{consumergroup="${group}"`)
      expect(text).toContain(
        `kafka_consumergroup_group_max_lag_seconds{cluster_name="songswap",group="${group}"}`,
      )
    }
  })
})

/** How many partitions each member of a group owns, as Kafka's own tool tells. */
async function partitionsByMember(group: string): Promise<number[]> {
  const table = await project.compose(
    ...['exec', '-T', 'kafka', '/opt/kafka/bin/kafka-consumer-groups.sh', '--bootstrap-server', 'kafka:9092'],
    ...['--describe', '--members', '--group', group],
  )
  const rows = table.split('\n').filter((line) => line.startsWith(`${group} `))
  return rows.map((row) => Number(row.trim().split(/\s+/).at(-1)))
}

describe('operating it', () => {
  test('--scale loader=3 spreads the partitions, and a backlog drains', async () => {
    const { loaderHistory } = stream.topology.groups
    await project.compose('stop', 'loader')
    const before = await pages()
    await until(async () => (await pages()) > before + 30, 'a backlog waits', 120_000)
    const stored = await plays()
    expect(await stream.lag(loaderHistory)).toBeGreaterThan(0)

    await project.compose('up', '--detach', '--no-recreate', '--wait', '--scale', 'loader=3', 'loader')
    await until(
      async () => (await partitionsByMember(loaderHistory)).join() === '4,4,4',
      'the work is shared',
      60_000,
    )
    await drained(loaderHistory)
    expect(await plays()).toBeGreaterThan(stored)
  })

  test('killed loaders and a restarted Kafka lose nothing and double nothing', async () => {
    for (let round = 0; round < 3; round++) {
      const before = await plays()
      await project.compose('kill', '--signal', 'KILL', 'loader')
      await project.compose('up', '--detach', '--no-recreate', '--scale', 'loader=3', 'loader')
      await until(async () => (await plays()) > before, 'plays arrive again', 120_000)
    }
    const before = await plays()
    await project.compose('restart', 'kafka')
    await until(async () => (await plays()) > before, 'plays arrive after the restart', 180_000)

    await allIsAccounted()
  })

  test('down and up keep the data, and the stream goes on', async () => {
    await stream.close()
    const before = { plays: await readCount('plays'), users: await readCount('users') }
    await project.compose('down')
    expect(await project.containers()).toEqual([])
    await project.compose('up', '--detach', '--wait')
    stream = await openComposeStream(project)
    expect(await stream.count('users')).toBe(before.users)
    expect(await plays()).toBeGreaterThanOrEqual(before.plays)
    await until(async () => (await plays()) > before.plays, 'plays arrive again', 120_000)
  })

  test('stops in order within the grace period', async () => {
    await project.compose('stop', ...services)
    for (const { service, exitCode, id } of await containersOf(services)) {
      const log = await docker('logs', '--tail', '1', id)
      expect([service, exitCode, JSON.parse(log)]).toMatchObject([
        service,
        0,
        { msg: 'stopped', released: true },
      ])
    }
  })

  test('logs are lines of JSON that say "demo", and hold no secret', async () => {
    const logs = await project.compose('logs', '--no-log-prefix', ...services, ...simulators)
    const lines = logs.split('\n').filter(Boolean)
    expect(lines.length).toBeGreaterThan(20)
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow()
    expect(lines.filter((line) => line.includes('DEMO')).length).toBeGreaterThanOrEqual(services.length)

    const everything = await project.compose('logs')
    const answer = await fetch(`http://127.0.0.1:${project.ports.spotify}/_sim/listeners`)
    const known = (await answer.json()) as { listeners: { refreshToken: string }[] }
    const tokens = known.listeners.map((one) => one.refreshToken)
    for (const secret of [...stream.secrets, ...tokens]) {
      expect(secret.length).toBeGreaterThan(10)
      expect(everything).not.toContain(secret)
    }
  })
})

describe('with credentials', () => {
  test('the simulators end at once with 0 and say why, and a service that is started is no demo', async () => {
    const real = await createProject({
      name: 'songswap-real-test',
      env: { SPOTIFY_CLIENT_ID: 'an-id', SPOTIFY_CLIENT_SECRET: 'a-secret' },
    })
    const alone = ['run', '--rm', '-T', '--no-deps']
    try {
      for (const simulator of simulators) {
        const log = await real.compose(...alone, simulator)
        expect(JSON.parse(log)).toMatchObject({ msg: 'not_needed', reason: 'SPOTIFY_CLIENT_ID is set' })
      }
      const settings =
        "console.log(JSON.stringify((await import('./simulators/stand-in.ts')).withSimulators(process.env)))"
      const env = JSON.parse(
        await real.compose(...alone, 'poller', '--input-type=module', '--eval', settings),
      )
      expect(env).toMatchObject({ SPOTIFY_CLIENT_ID: 'an-id', SPOTIFY_CLIENT_SECRET: 'a-secret' })
      expect(env).not.toHaveProperty('SPOTIFY_API_URL')
    } finally {
      await real.compose('down', '--volumes', '--remove-orphans')
    }
  })
})

async function readCount(table: string): Promise<number> {
  const sql = `select count(*) from ${table}`
  return Number(await project.compose('exec', '-T', 'postgres', 'psql', '-U', 'songswap', '-Atc', sql))
}

/** Delivered = in the topic = in Postgres, each once; what is in the topic is in the archive, byte for byte. */
async function allIsAccounted(): Promise<void> {
  const { rows: clock } = await stream.postgres.query<{ now: Date }>('select now()')
  const before = `poll_state where last_ok_at < '${clock[0]?.now.toISOString()}'`
  await until(async () => (await stream.count(before)) === 0, 'everybody was polled again', 120_000)
  await project.compose('stop', 'poller')
  await drained(stream.topology.groups.loaderHistory)
  await drained(stream.topology.groups.archiver)

  const { rows } = await stream.postgres.query<{ id: number }>(
    `select id from users order by substr(spotify_id, length('listener-') + 1)::int`,
  )
  const published = await readPublishedPages(stream)
  expect(published.length).toBeGreaterThan(listeners)
  expect(
    deliveryFaults(
      await readTruth(project),
      rows.map((r) => r.id),
      published,
    ),
  ).toEqual([])
  expect(orderFaults(published, 'fetchedAt')).toEqual([])
  expect(playFaults(published, await readStoredPlays(stream.postgres))).toEqual([])
  const archive = { s3: stream.s3, prefix: 'raw' }
  expect(await archiveFaults(stream, archive, stream.topology.recentlyPlayed.name)).toEqual([])
  await project.compose('start', 'poller')
}
