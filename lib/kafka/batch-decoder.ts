import { UnknownSchemaError } from '../codec.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Burials } from './burial.ts'
import type { DecodedRecord, RawRecord } from './record.ts'

export interface BatchDecoderOptions<V> {
  group: string
  decode: (record: RawRecord) => Promise<DecodedRecord<V>>
  /** Records that operators have buried; absent if the group has no burials. */
  burials?: Burials
  log: Logger
}

/** Decodes the batches of one partition, except for records that operators have buried. */
export class BatchDecoder<V> {
  readonly #o: BatchDecoderOptions<V>
  /** Buried offsets of the present batch. */
  #buried: ReadonlySet<number> = new Set()

  constructor(options: BatchDecoderOptions<V>) {
    this.#o = options
  }

  /**
   * Looks up all schema ids of the batch before it throws over an unknown one, so that a batch with several unknown ids
   * waits once.
   *
   * @param lastWords the message with which the batch failed last
   */
  async decode(batch: readonly RawRecord[], lastWords: string): Promise<DecodedRecord<V>[]> {
    const decoded: DecodedRecord<V>[] = []
    let unknown: UnknownSchemaError | null = null
    for (const record of batch) {
      try {
        const isBuried = this.#buried.has(record.offset)
        decoded.push(isBuried ? toBuried(record, lastWords) : await this.#o.decode(record))
      } catch (error) {
        if (!(error instanceof UnknownSchemaError)) throw error
        unknown = error
      }
    }
    if (unknown) throw unknown
    return decoded
  }

  /** Reads which records of a batch are buried. If that fails, the next attempt reads it. */
  async readBurials(records: readonly RawRecord[]): Promise<void> {
    const { group, burials, log } = this.#o
    if (!burials) return
    try {
      this.#buried = await burials({ group, records })
    } catch (error) {
      log.debug({ group, reason: messageOf(error) }, 'burials_not_read')
    }
  }

  /** Called when the batch is settled. */
  passed(): void {
    this.#buried = new Set()
  }
}

function toBuried<V>(record: RawRecord, lastWords: string): DecodedRecord<V> {
  const message = `Given up by an operator; it failed with: ${lastWords}`
  return { ...record, decoded: { type: 'buried', reason: 'buried', message } }
}
