import { execFile } from 'node:child_process'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import type { S3 } from '../../lib/s3.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { byPartition, openTestS3, readWholeArchive } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/until.ts'

/* Reads the archive with a foreign Avro reader: Python's fastavro. */

const run = promisify(execFile)
const script = fileURLToPath(new URL('../support/read_archive.py', import.meta.url))
const venv = fileURLToPath(new URL('../../.data/fastavro', import.meta.url))
const python = join(venv, 'bin', 'python')
const requirements = ['fastavro[zstandard]==1.13.1']

let stream: Stream
let s3: S3
let folder: string

beforeAll(async () => {
  await installFastavro()
  stream = await createStream()
  s3 = openTestS3(stream.env)
  folder = await mkdtemp(join(tmpdir(), 'fastavro-'))
})
afterAll(async () => {
  await s3?.close()
  await stream?.release()
  if (folder) await rm(folder, { recursive: true })
})

/** Installs into a virtual environment that stays for the next run. */
async function installFastavro(): Promise<void> {
  const stamp = join(venv, 'installed')
  if (existsSync(stamp)) return
  await rm(venv, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', venv]).catch((cause) => {
    throw new Error('Python 3 with venv is missing; install it: apt-get install -y python3 python3-venv', {
      cause,
    })
  })
  await run(python, ['-m', 'pip', 'install', '--quiet', ...requirements])
  await mkdir(stamp)
}

test('fastavro reads every row as it was published', async () => {
  const { kafka } = await stream.openKafka()
  const pages = stream.topology.recentlyPlayed
  const body = (n: number) => Buffer.from(`{"n":${n},"text":"\u{1F3B5} ${'é'.repeat(n * 10)}"}`)
  await kafka.publish(
    pages,
    Array.from({ length: 200 }, (_, n) => ({
      key: String(n % 5),
      headers: [
        { name: 'origin', value: Buffer.from([n, 255]) },
        { name: 'origin', value: null },
      ],
      timestamp: Date.UTC(2026, 10, 24, 0, 0, 0, n),
      value: {
        endpoint: 'recently-played',
        subject: String(n % 5),
        source: 'poll',
        fetchedAt: 1_700_000_000_123 + n,
        status: 200,
        body: body(n),
      },
    })),
  )
  await kafka.publishBytes(pages.name, [
    { key: null, value: Buffer.from('junk') },
    { key: 'gone', value: null },
  ])
  await startService('archiver', { ...stream.env, LOG_LEVEL: 'info', ARCHIVE_OBJECT_AGE_SECONDS: '1' })
  const objects = await until(async () => {
    const found = await readWholeArchive(s3, stream.env.S3_PREFIX ?? '')
    return found.flatMap((o) => o.rows).length === 202 ? found : null
  }, 'all is archived')

  const files: string[] = []
  for (const { path } of objects.toSorted((a, b) => a.firstOffset - b.firstOffset)) {
    const file = join(folder, basename(path))
    await pipeline(await s3.get(path), createWriteStream(file))
    files.push(file)
  }
  const { stdout } = await run(python, [script, ...files], { maxBuffer: 64 << 20 })
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const expected = [...byPartition(objects).values()].flat().map(plain)
  const order = (a: { partition: number; offset: number }, b: { partition: number; offset: number }) =>
    a.partition - b.partition || a.offset - b.offset
  expect(rows.sort(order)).toEqual(expected.sort(order))
  expect(
    rows
      .filter((r) => r.value)
      .map((r) => r.value.body)
      .sort(),
  ).toEqual(Array.from({ length: 200 }, (_, n) => body(n).toString('base64')).sort())
})

/** A row as the script prints it. */
function plain(row: ArchivedRecord) {
  const value = row.value as SpotifyResponse | null
  return {
    ...row,
    key: row.key?.toString('base64') ?? null,
    headers: row.headers.map((h) => ({ name: h.name, value: h.value?.toString('base64') ?? null })),
    value: value && { ...value, body: value.body.toString('base64') },
    raw: row.raw?.toString('base64') ?? null,
  }
}
