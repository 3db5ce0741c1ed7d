import { createHash, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { S3 } from '../s3.ts'

/**
 * Whether the store honours `If-None-Match: *`, on which rests that no object of the archive is ever overwritten:
 * puts an object of its own twice. The name ends as unfinished uploads do in some listings: readers of the archive
 * pass it over where it cannot be deleted.
 *
 * @throws RetriableError when the store is away: nothing is known then
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
    // The archiver may have no right to delete, and does not wait for it.
    s3.delete(key).catch(() => undefined)
  }
}
