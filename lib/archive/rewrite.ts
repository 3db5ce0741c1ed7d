import { compress } from '../zstd.ts'
import { encodeBlock, encodeHeader, syncMarker } from './container.ts'
import type { ArchiveKey } from './key.ts'
import { readArchive } from './read.ts'
import type { ArchivedRecord } from './row.ts'
import { rowType } from './row.ts'
import type { ObjectSummary } from './summary.ts'
import { summaryMetadata } from './summary.ts'

const blockBytes = 1 << 20

/** Counts of an object's rows. */
export interface Rewritten {
  kept: number
  removed: number
}

/**
 * Rewrites an object without some of its rows, one block in memory at a time. The rows that stay keep their bytes. If
 * none stays, the result is a valid file without rows: its key and its metadata still say which offsets it covers.
 *
 * @param source the object's bytes
 * @param summary what the new object holds; goes into its header, for stores and tools that lose metadata
 * @param write receives the new bytes, in order
 * @throws ArchiveFormatError when the object is damaged: the caller must then not replace it
 */
export async function withoutRows(
  key: ArchiveKey,
  source: AsyncIterable<Buffer>,
  {
    summary,
    isRemoved,
    write,
  }: {
    summary: ObjectSummary
    isRemoved: (row: ArchivedRecord) => boolean
    write: (bytes: Buffer) => Promise<void>
  },
): Promise<Rewritten> {
  const { schema, rows } = await readArchive(source)
  const type = rowType(schema)
  const sync = syncMarker(key)
  let [block, size, kept, removed]: [Buffer[], number, number, number] = [[], 0, 0, 0]

  async function endBlock(): Promise<void> {
    if (block.length === 0) return
    await write(encodeBlock(block.length, await compress(Buffer.concat(block)), sync))
    block = []
    size = 0
  }

  await write(encodeHeader(schema, sync, summaryMetadata(summary)))
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
  return { kept, removed }
}
