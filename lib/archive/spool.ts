import { randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Objects up to this size never touch the disk. */
const memoryBytes = 256 << 10
const readBytes = 256 << 10

/**
 * The bytes of an object that grows: first in memory, then in a file that is unlinked as soon as it is open, so a
 * killed process leaves nothing behind.
 */
export class Spool {
  readonly #folder: string
  #chunks: Buffer[] = []
  #file: FileHandle | null = null
  #length = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  get length(): number {
    return this.#length
  }

  /**
   * Appends bytes, which must not change afterwards.
   * @throws the system's error (disk full, folder gone); the spool is then unchanged
   */
  async append(bytes: Buffer): Promise<void> {
    if (this.#file) {
      await writeAll(this.#file, bytes, this.#length)
    } else if (this.#length + bytes.length <= memoryBytes) {
      this.#chunks.push(bytes)
    } else {
      this.#file = await moveToFile(this.#folder, [...this.#chunks, bytes])
      this.#chunks = []
    }
    this.#length += bytes.length
  }

  /** All bytes from the first one. May be called any number of times. */
  async *read(): AsyncGenerator<Buffer> {
    if (!this.#file) {
      yield* this.#chunks
      return
    }
    for (let position = 0; position < this.#length; ) {
      const size = Math.min(readBytes, this.#length - position)
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(size), 0, size, position)
      if (bytesRead === 0) throw new Error('The spool file is shorter than what was written')
      yield buffer.subarray(0, bytesRead)
      position += bytesRead
    }
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    this.#chunks = []
    this.#length = 0
    await file?.close()
  }
}

async function moveToFile(folder: string, chunks: Buffer[]): Promise<FileHandle> {
  const path = join(folder, `songswap-archive-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    let position = 0
    for (const chunk of chunks) {
      await writeAll(file, chunk, position)
      position += chunk.length
    }
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** A full disk may take only a part of the bytes, without an error: only the count says so. */
async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
