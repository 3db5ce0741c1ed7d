import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from '../support/compose.ts'
import { secretSettings, settingsOf } from '../support/settings.ts'

const run = promisify(execFile)
const services = ['poller', 'archiver', 'loader', 'enricher', 'alerter']
const cluster = ['--file', 'docker-compose.yaml', '--file', 'docker-compose.cluster.yaml']
const everything = ['--profile', 'tools', '--profile', 'observability']

interface ComposeService {
  image: string
  environment?: Record<string, string | null>
  ports?: { host_ip: string }[]
  cap_drop?: string[]
  read_only?: boolean
  mem_limit?: string
  stop_grace_period?: string
  logging?: { options: Record<string, string> }
}

interface ComposeConfig {
  services: Record<string, ComposeService>
  volumes: Record<string, { name: string }>
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'songswap-compose-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** `docker compose config` with the given `.env`. */
async function config(dotEnv: string, args: string[] = []): Promise<ComposeConfig> {
  const file = join(folder, 'env')
  writeFileSync(file, dotEnv)
  const { stdout } = await run(
    'docker',
    ['compose', '--env-file', file, ...args, 'config', '--format', 'json'],
    { cwd: root, env: { PATH: process.env.PATH, HOME: process.env.HOME }, maxBuffer: 16 << 20 },
  )
  return JSON.parse(stdout)
}

const filledIn = (name: string) => `${name}=value-of-${name}`

describe('docker compose config', () => {
  test.each([
    ['nothing', ''],
    ['the example as it is', readFileSync(join(root, '.env.example'), 'utf8')],
    ['credentials', 'SPOTIFY_CLIENT_ID=id\nSPOTIFY_CLIENT_SECRET=s\nDISCORD_WEBHOOK_URL=https://d/1/t\n'],
  ])(
    'is valid with an .env that holds %s, also for a cluster and with every profile',
    async (_what, dotEnv) => {
      await config(dotEnv)
      await config(dotEnv, everything)
      await config(dotEnv, cluster)
    },
  )

  test('runs the versions of the servers that everything was tried with', async () => {
    const { services: all } = await config('')
    const images = ['kafka', 'registry', 's3', 'postgres'].map((name) => all[name]?.image)
    expect(images).toEqual([
      'apache/kafka:4.3.1',
      'apicurio/apicurio-registry:3.0.9',
      'andrewgaul/s3proxy:4.1.1',
      'postgres:18',
    ])
  })

  test('publishes on 127.0.0.1 only, and nothing of what can be scaled', async () => {
    for (const args of [everything, [...cluster, ...everything]]) {
      const { services: all } = await config('', args)
      for (const { ports = [] } of Object.values(all)) {
        for (const { host_ip } of ports) expect(host_ip).toBe('127.0.0.1')
      }
      for (const name of services) expect(all[name]?.ports ?? []).toEqual([])
    }
  })

  test('bounds the memory, the logs and the powers of every container', async () => {
    const { services: all } = await config('', [...cluster, ...everything])
    for (const [name, service] of Object.entries(all)) {
      expect([name, service.cap_drop]).toEqual([name, ['ALL']])
      expect([name, Number(service.mem_limit) > 0]).toEqual([name, true])
      expect([name, service.logging?.options['max-size']]).toEqual([name, '10m'])
    }
  })

  test.each(services)('hands every setting of the %s on, each secret as a file too', async (name) => {
    const settings = settingsOf(name)
    const secrets = settings.filter((s) => secretSettings.includes(s))
    const { services: all } = await config('')
    const names = Object.keys(all[name]?.environment ?? {})
    expect(names).toEqual(expect.arrayContaining([...settings, ...secrets.map((s) => `${s}_FILE`)]))

    const fixed = ['HTTP_HOST', 'HTTP_PORT', 'ARCHIVE_SPOOL_DIR']
    const own = settings.filter((s) => !fixed.includes(s))
    const { services: given } = await config(own.map(filledIn).join('\n'))
    for (const s of own) expect(given[name]?.environment?.[s]).toBe(`value-of-${s}`)
  })

  test('gives no service a secret that it does not read', async () => {
    const { services: all } = await config(secretSettings.map(filledIn).join('\n'), everything)
    for (const name of services) {
      const given = Object.keys(all[name]?.environment ?? {}).filter((s) => secretSettings.includes(s))
      expect([name, given.filter((s) => !settingsOf(name).includes(s))]).toEqual([name, []])
    }
  })

  test('keeps the demo and the real thing on volumes of their own', async () => {
    const names = ({ volumes }: ComposeConfig) => Object.values(volumes).map((v) => v.name)
    const demo = names(await config('', cluster))
    const real = names(await config('SPOTIFY_CLIENT_ID=id', cluster))
    expect(new Set(demo).isDisjointFrom(new Set(real.filter((n) => !n.includes('grafana'))))).toBe(true)
  })

  test('leaves a server out where an override says so', async () => {
    const out = ['kafka', 'registry', 'postgres', 's3']
    const override = join(folder, 'override.yaml')
    writeFileSync(
      override,
      JSON.stringify({ services: Object.fromEntries(out.map((s) => [s, { profiles: ['never'] }])) }),
    )
    const { services: all } = await config('KAFKA_BROKERS=a:1\nDATABASE_URL=postgres://b/c\nS3_ENDPOINT=', [
      ...['--file', 'docker-compose.yaml', '--file', override],
    ])
    expect(Object.keys(all)).toEqual(expect.not.arrayContaining(out))
    expect(Object.keys(all)).toEqual(expect.arrayContaining(services))
    expect(all.loader?.environment).toMatchObject({ KAFKA_BROKERS: 'a:1', DATABASE_URL: 'postgres://b/c' })
    expect(all.archiver?.environment).toMatchObject({ S3_ENDPOINT: '' })
  })
})

test('promtool accepts the alert rules and the configuration, and the rules tell what they should', async () => {
  const promtool = (...args: string[]) => run('promtool', args, { cwd: root })
  await promtool('check', 'config', 'deploy/prometheus/prometheus.yaml')
  await promtool('test', 'rules', 'test/compose/alert-rules.test.yaml')
})
