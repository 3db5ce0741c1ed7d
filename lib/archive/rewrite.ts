import { compress } from '../zstd.ts'
import { encodeBlock, encodeHeader, syncMarker } from './container.ts'
import type { ArchiveKey } from './key.ts'
import { readArchive } from './read.ts'
import type { ArchivedRecord } from './row.ts'
import { rowType } from './row.ts'

const blockBytes = 1 << 20

/** An object without some of its rows. */
export interface Rewritten {
  bytes: Buffer
  kept: number
  removed: number
}

/**
 * Writes an object again without some of its rows; the others have the same bytes as before. An object of which
 * nothing is left is a valid file without rows: its key and its metadata still say which offsets it covers.
 *
 * @param source the object's bytes
 * @throws ArchiveFormatError when it is damaged: nothing must be written in its place then
 */
export async function withoutRows(
  key: ArchiveKey,
  source: AsyncIterable<Buffer>,
  isRemoved: (row: ArchivedRecord) => boolean,
): Promise<Rewritten> {
  const { schema, rows } = await readArchive(source)
  const type = rowType(schema)
  const sync = syncMarker(key)
  const parts = [encodeHeader(schema, sync)]
  let [block, size, kept, removed]: [Buffer[], number, number, number] = [[], 0, 0, 0]

  async function endBlock(): Promise<void> {
    if (block.length === 0) return
    const content = Buffer.concat(block)
    parts.push(encodeBlock(block.length, await compress(content), sync))
    block = []
    size = 0
  }

  for await (const row of rows) {
    if (isRemoved(row)) {
      removed++
      continue
    }
    const encoded = type.toBuffer(row)
    block.push(encoded)
    size += encoded.length
    kept++
    if (size >= blockBytes) await endBlock()
  }
  await endBlock()
  return { bytes: Buffer.concat(parts), kept, removed }
}
