import type { ArchiveKey } from '../../lib/archive/key.ts'
import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import type { Codec } from '../../lib/codec.ts'
import { isKnownOutage, messageOf } from '../../lib/errors.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { S3 } from '../../lib/s3.ts'
import type { AvroSchema, SpotifyResponse } from '../../lib/topology.ts'

export type Row = ArchivedRecord<SpotifyResponse>

/** An object cannot be read, or not to its end. */
export class DamagedObjectError extends Error {
  override name = 'DamagedObjectError'
}

/**
 * Reads an object's rows in portions.
 *
 * @throws DamagedObjectError after the last readable portion; an outage of the store unchanged
 */
export async function* readPortions(
  s3: S3,
  object: ArchiveKey & { path: string },
  portion: number,
): AsyncGenerator<{ rows: Row[]; schema: AvroSchema }> {
  const source = await s3.get(object.path).catch(rethrow)
  try {
    const { schema, rows } = await readArchive(source).catch(rethrow)
    const iterator = ownRows(rows, object)
    for (let some: Row[] = []; ; ) {
      const next = await iterator.next().catch((error: unknown) => ({ failed: error }))
      const ended = 'failed' in next || next.done
      if (!ended) some.push(next.value)
      if (some.length >= portion || (ended && some.length > 0)) {
        yield { rows: some, schema }
        some = []
      }
      if ('failed' in next) rethrow(next.failed)
      if (ended) return
    }
  } finally {
    source.destroy()
  }
}

/**
 * Checks the rows against the object's name: an object that was copied from elsewhere or written by another program
 * could store plays under wrong places, or silently none.
 */
async function* ownRows(
  rows: AsyncIterable<ArchivedRecord>,
  { topic, partition, firstOffset }: ArchiveKey,
): AsyncGenerator<Row> {
  let next = firstOffset
  for await (const row of rows) {
    if (row.topic !== topic || row.partition !== partition || !(row.offset >= next)) {
      throw new DamagedObjectError(`Its rows are not those that its name says, from offset ${next} on`)
    }
    next = row.offset + 1
    yield row as Row
  }
}

/** Any fault of the bytes is damage; an outage of the store is not. */
function rethrow(error: unknown): never {
  if (isKnownOutage(error) || error instanceof DamagedObjectError) throw error
  const name = error instanceof Error && error.name === 'NoSuchKey' ? 'it is gone' : messageOf(error)
  throw new DamagedObjectError(name, { cause: error })
}

/**
 * Turns a row back into its record. A value that could not be decoded when it was archived is decoded again.
 *
 * @param object.incarnation the log that the row's object belongs to
 */
export async function toRecord(
  row: Row,
  codec: Codec,
  { incarnation = 0 }: Pick<ArchiveKey, 'incarnation'>,
): Promise<DecodedRecord<SpotifyResponse>> {
  const { value, raw, ...rest } = row
  const place = { ...rest, incarnation }
  if (value === null) return { ...place, bytes: raw, decoded: await codec.decode<SpotifyResponse>(raw) }
  return { ...place, bytes: null, decoded: { type: 'value', value, writer: null } }
}
