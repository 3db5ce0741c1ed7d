import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Project } from '../support/compose.ts'
import { createProject } from '../support/compose.ts'
import { keepPlaying } from '../support/compose-stream.ts'
import { until } from '../support/until.ts'

const listeners = 20
const brokers = ['kafka', 'kafka-2', 'kafka-3']

let project: Project
let stopPlaying: () => void

beforeAll(async () => {
  const env = { SIM_LISTENERS: String(listeners), SIM_SPEED: '1' }
  project = await createProject({
    name: 'songswap-cluster-test',
    files: ['docker-compose.cluster.yaml'],
    env,
  })
  await project.compose('down', '--volumes', '--remove-orphans')
  await project.compose('build')
  await project.compose('up', '--detach', '--wait')
  stopPlaying = keepPlaying(project, listeners)
})
afterAll(async () => {
  stopPlaying?.()
  await project?.compose('down', '--volumes', '--timeout', '5')
})

async function plays(): Promise<number> {
  const sql = 'select count(*) from plays'
  return Number(await project.compose('exec', '-T', 'postgres', 'psql', '-U', 'songswap', '-Atc', sql))
}

test('every topic has three replicas, two of which must have a record', async () => {
  const described = await project.compose(
    ...['exec', '-T', 'kafka', '/opt/kafka/bin/kafka-topics.sh'],
    ...['--bootstrap-server', 'kafka:9092', '--describe'],
  )
  const topics = described.split('\n').filter((line) => line.startsWith('Topic:'))
  expect(topics.filter((line) => line.includes('spotify.recently-played'))).toHaveLength(1)
  for (const line of topics) expect(line).toMatch(/ReplicationFactor: 3.*min\.insync\.replicas=2/)
})

test.each(brokers)('with %s stopped, plays go on arriving', async (broker) => {
  await project.compose('stop', broker)
  // What was under way before the stop is not what is asked for.
  const stopped = await plays()
  await until(async () => (await plays()) > stopped, 'plays arrive', 120_000)
  const later = await plays()
  await until(async () => (await plays()) > later, 'plays go on arriving', 120_000)
  await project.compose('up', '--detach', '--no-recreate', '--wait', broker)
})
