import { UnknownSchemaError } from '../codec.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Burials } from './burial.ts'
import type { DecodedRecord, RawRecord } from './record.ts'

export interface BatchDecoderOptions<V> {
  group: string
  decode: (record: RawRecord) => Promise<DecodedRecord<V>>
  /** Records that operators have given up; absent: the group buries nothing. */
  burials?: Burials
  log: Logger
}

/** Decodes the batches of one partition, except for records that operators have given up. */
export class BatchDecoder<V> {
  readonly #o: BatchDecoderOptions<V>
  /** Offsets of the present batch that were given up. */
  #buried: ReadonlySet<number> = new Set()

  constructor(options: BatchDecoderOptions<V>) {
    this.#o = options
  }

  /**
   * Ids that the registry does not know are all looked up before the first of them is complained of, so that a batch
   * of them waits once.
   *
   * @param lastWords what the batch failed with the last time
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

  /** Asks what was given up of a batch. What cannot be read now is read at the next attempt. */
  async readBurials(records: readonly RawRecord[]): Promise<void> {
    const { group, burials, log } = this.#o
    if (!burials) return
    try {
      this.#buried = await burials({ group, records })
    } catch (error) {
      log.debug({ group, reason: messageOf(error) }, 'burials_not_read')
    }
  }

  /** The batch is settled. */
  passed(): void {
    this.#buried = new Set()
  }
}

function toBuried<V>(record: RawRecord, lastWords: string): DecodedRecord<V> {
  const message = `Given up by an operator; it failed with: ${lastWords}`
  return { ...record, decoded: { type: 'buried', reason: 'buried', message } }
}
