import { createHash, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { S3 } from '../s3.ts'

/**
 * Whether the store honours `If-None-Match: *`, without which objects of the archive could be overwritten. Puts a probe
 * object twice to find out. The probe's key does not end with `.avro`, so readers of the archive ignore one that could
 * not be deleted.
 *
 * @throws RetriableError when the store is away: the answer is then not known
 */
export async function honoursConditions(s3: S3, prefix: string): Promise<boolean> {
  const key = [prefix, '.probe', `if-none-match.avro-${randomUUID()}`].filter(Boolean).join('/')
  const put = () =>
    s3.putIfAbsent({
      key,
      open: () => Readable.from([]),
      length: 0,
      md5: createHash('md5').update('').digest('base64'),
      contentType: 'application/octet-stream',
      metadata: {},
    })
  await put()
  try {
    return (await put()) === 'exists'
  } finally {
    // The archiver may lack the right to delete, so it neither waits for this nor fails with it.
    s3.delete(key).catch(() => undefined)
  }
}
