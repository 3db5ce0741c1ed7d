import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { S3Config } from '../../lib/config.ts'
import { parseEnv, s3Config, s3Env } from '../../lib/config.ts'
import type { S3 } from '../../lib/s3.ts'
import { readBucketSettings } from '../../lib/server-settings/bucket.ts'
import { describe } from '../fault.ts'
import type { Check, Notes } from './check.ts'
import { noteSettings } from './settings.ts'

export const s3Check: Check = {
  name: 's3',
  looksAt: 'what the archiver needs of the object store, tried with an object of its own',
  withinMs: 15_000,
  hint: 'Is the object store running? Are S3_ENDPOINT, S3_BUCKET and the credentials right, and may they read and write there?',
  async run(operator, notes) {
    const config = s3Config(parseEnv(s3Env, operator.env))
    const { s3 } = await operator.archive()
    const key = [config.prefix, '.doctor', randomUUID()].filter(Boolean).join('/')
    const place = `bucket ${config.bucket} at ${config.endpoint ?? `Amazon, ${config.region}`}`
    const body = randomBytes(1024)
    try {
      await put(s3, key, body)
    } catch (error) {
      // If only the answer was lost, the object exists.
      if (await s3.head(key).catch(() => null)) await noteDelete(s3, key, notes)
      throw error
    }
    try {
      notes.ok('put', `an object of ${body.length} bytes into ${place}`)
      await noteConditional(s3, key, notes)
      await noteRead(s3, { key, body }, notes)
      await noteBucket(config, notes)
    } finally {
      await noteDelete(s3, key, notes)
    }
  },
}

function put(s3: S3, key: string, body: Buffer): Promise<'put' | 'exists'> {
  return s3.putIfAbsent({
    key,
    open: () => Readable.from([body]),
    length: body.length,
    md5: createHash('md5').update(body).digest('base64'),
    contentType: 'application/octet-stream',
    metadata: { probe: 'doctor' },
  })
}

/** Only conditional puts keep a late archiver from overwriting an object of the archive. */
async function noteConditional(s3: S3, key: string, notes: Notes): Promise<void> {
  const second = await put(s3, key, randomBytes(1024))
  if (second === 'exists') notes.ok('conditional put', 'the second put of the same key was refused with 412')
  else {
    const text = 'If-None-Match is ignored: a second put replaced the object, and archive objects can be lost'
    notes.fail('conditional put', text, 'Use an object store that knows conditional puts, or update it.')
  }
}

async function noteRead(s3: S3, { key, body }: { key: string; body: Buffer }, notes: Notes): Promise<void> {
  const [head, read] = [await s3.head(key), await buffer(await s3.get(key))]
  if (read.equals(body) && head?.metadata.probe === 'doctor') {
    notes.ok('read', 'the same bytes and metadata came back')
  } else {
    const text = 'other bytes or metadata came back than were put first'
    notes.fail('read', text, 'Is there a proxy that changes or caches objects?')
  }
}

async function noteBucket(config: S3Config, notes: Notes): Promise<void> {
  const { unsafe, refused } = await readBucketSettings(config)
  await noteSettings(notes, 'settings of the bucket', async () => unsafe)
  for (const text of refused) {
    notes.warn('settings of the bucket', `not known, ${text}`, 'Look at the rules of the bucket yourself.')
  }
}

async function noteDelete(s3: S3, key: string, notes: Notes): Promise<void> {
  try {
    await s3.delete(key)
    if ((await s3.head(key)) === null) return notes.ok('delete', 'the object is gone again')
    notes.warn('delete', `${key} is still there`, 'Is there a lock on objects? Erasing a user needs deletes.')
  } catch (error) {
    const hint = 'The archiver needs no deletes; erasing a user does. Delete the object by hand.'
    notes.warn('delete', `${key} stays: ${describe(error)}`, hint)
  }
}
