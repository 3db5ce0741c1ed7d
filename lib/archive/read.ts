import type { AvroSchema } from '../topology.ts'
import { decompress } from '../zstd.ts'
import { codecName, headerType, magic, readSummaryTexts, syncBytes } from './container.ts'
import type { ArchivedRecord } from './row.ts'
import { rowType } from './row.ts'
import type { ObjectSummary } from './summary.ts'
import { parseSummary } from './summary.ts'

/** The bytes are not an archive object, or a damaged one. */
export class ArchiveFormatError extends Error {
  override name = 'ArchiveFormatError'
}

/** An archive object that is being read. */
export interface ArchiveReader {
  /** Schema of the rows, with that of their values inside. */
  schema: AvroSchema
  /** The summary in the header, for stores that lose metadata; null if the object was never rewritten. */
  summary: ObjectSummary | null
  /**
   * Rows in offset order, one block in memory at a time.
   * @throws ArchiveFormatError if the bytes end early or are damaged
   */
  rows: AsyncIterable<ArchivedRecord>
}

/**
 * Opens an archive object.
 *
 * @param source the object's bytes, in chunks of any size
 * @throws ArchiveFormatError when they do not begin like an archive object; errors of the source unchanged
 */
export async function readArchive(source: AsyncIterable<Buffer>): Promise<ArchiveReader> {
  const bytes = new ByteReader(source)
  const header = await readHeader(bytes)
  return { schema: header.schema, summary: header.summary, rows: readRows(bytes, header) }
}

interface FileHeader {
  schema: AvroSchema
  summary: ObjectSummary | null
  sync: Buffer
}

async function readHeader(bytes: ByteReader): Promise<FileHeader> {
  if (!magic.equals(await bytes.peek(magic.length)))
    throw new ArchiveFormatError('It does not begin like an Avro file')
  for (let size = 4096; ; size *= 2) {
    const start = await bytes.peek(size)
    const { value, offset } = headerType.decode(start)
    if (offset < 0) {
      if (start.length < size) throw new ArchiveFormatError('It ends within its header')
      continue
    }
    const { meta, sync } = value as { meta: Record<string, Buffer>; sync: Buffer }
    const codec = meta['avro.codec']?.toString('utf8') ?? 'null'
    if (codec !== codecName) throw new ArchiveFormatError(`Its codec is ${codec}, not ${codecName}`)
    bytes.skip(offset)
    return {
      schema: JSON.parse(meta['avro.schema']?.toString('utf8') ?? 'null'),
      summary: parseSummary(readSummaryTexts(meta)),
      sync: Buffer.from(sync),
    }
  }
}

async function* readRows(bytes: ByteReader, { schema, sync }: FileHeader): AsyncGenerator<ArchivedRecord> {
  const type = rowType(schema)
  while (!(await bytes.atEnd())) {
    const count = await bytes.readLong()
    const compressed = await bytes.read(await bytes.readLong())
    if (!sync.equals(await bytes.read(syncBytes)))
      throw new ArchiveFormatError('A block does not end with its sync marker')
    const block = await decompress(compressed).catch((cause) => {
      throw new ArchiveFormatError('A block cannot be decompressed', { cause })
    })
    let position = 0
    for (let row = 0; row < count; row++) {
      const { value, offset } = type.decode(block, position)
      if (offset < 0) throw new ArchiveFormatError('A block holds fewer rows than it says')
      position = offset
      yield value
    }
  }
}

/** Reads exact numbers of bytes from a source of chunks. */
class ByteReader {
  readonly #source: AsyncIterator<Buffer>
  #buffered: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Shows the next `size` bytes without consuming them; fewer only at the end. */
  async peek(size: number): Promise<Buffer> {
    const chunks = [this.#buffered]
    let length = this.#buffered.length
    while (length < size) {
      const next = await this.#source.next()
      if (next.done) break
      chunks.push(next.value)
      length += next.value.length
    }
    if (chunks.length > 1) this.#buffered = Buffer.concat(chunks)
    return this.#buffered.subarray(0, size)
  }

  skip(size: number): void {
    this.#buffered = this.#buffered.subarray(size)
  }

  async read(size: number): Promise<Buffer> {
    const bytes = size < 0 ? Buffer.alloc(0) : await this.peek(size)
    if (size < 0 || bytes.length < size) throw new ArchiveFormatError('It ends within a block')
    this.skip(size)
    return bytes
  }

  async atEnd(): Promise<boolean> {
    return (await this.peek(1)).length === 0
  }

  /** Avro's zigzag variable-length integer; counts and sizes stay below 2^53. */
  async readLong(): Promise<number> {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = (await this.read(1)).readUInt8()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) break
      if (factor > Number.MAX_SAFE_INTEGER) throw new ArchiveFormatError('A block has no readable size')
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}
