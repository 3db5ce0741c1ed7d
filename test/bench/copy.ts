import type pg from 'pg'
import type { Sql } from '../../lib/postgres.ts'
import type { PlayRow } from '../../services/loader/transform.ts'

/** The part of pg's connection that COPY uses. */
interface CopyConnection {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** One COPY FROM STDIN for pg's protocol layer: an object whose methods get the server's answers. */
class CopyIn {
  readonly #text: string
  readonly #rows: Buffer
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void

  constructor(copy: { text: string; rows: Buffer; resolve: () => void; reject: (error: Error) => void }) {
    this.#text = copy.text
    this.#rows = copy.rows
    this.#resolve = copy.resolve
    this.#reject = copy.reject
  }

  submit(connection: CopyConnection): void {
    connection.query(this.#text)
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.#rows)
    connection.endCopyFrom()
  }

  handleError(error: Error): void {
    this.#reject(error)
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#resolve()
  }
}

const columns = 'user_id, played_at, track_id, context_type, context_uri, source, page_partition, page_offset'

/** As {@link insertPlays}, by COPY, which has no conflict clause: all plays must be new. */
export async function copyPlays(sql: Sql, plays: readonly PlayRow[]): Promise<[]> {
  const lines = plays.map((p) =>
    [
      p.userId,
      new Date(p.playedAt).toISOString(),
      p.trackId,
      p.contextType ?? '\\N',
      p.contextUri ?? '\\N',
      p.source,
      p.partition,
      p.offset,
    ].join('\t'),
  )
  const rows = Buffer.from(`${lines.join('\n')}\n`)
  const text = `copy plays (${columns}) from stdin`
  await new Promise<void>((resolve, reject) => {
    const query: unknown = new CopyIn({ text, rows, resolve, reject })
    sql.query(query as pg.Submittable)
  })
  return []
}
