import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'
import type { Header } from './record.ts'

const { KafkaJSNonRetriableError, KafkaJSTopicMetadataNotLoaded } = kafkajs
const load = createRequire(import.meta.url)
const pathOf = (file: string) => load.resolve(`kafkajs/src/${file}`)

/**
 * Importing this file patches faults of kafkajs 2.2.4 that no option fixes. Each patch quotes the lines of kafkajs that
 * it relies on. If they have changed, the process does not start: a patch that no longer fits would lose records
 * silently.
 */
stopIdleTimer()
missTopicsAloud()
keepHeaders()
readByPartition()
endAtBatches()
dropStaleAnswers()
waitBySteadyClock()
guardPositions()

/**
 * Loads a file of kafkajs, to patch it. @throws when one of the lines is not in it
 *
 * @param file below kafkajs/src
 * @param lines of the file, each as it stands there without its indentation
 */
export function mend<T>(file: string, lines: readonly string[]): T {
  const path = pathOf(file)
  const source = new Set(
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim()),
  )
  const missing = lines.find((line) => !source.has(line))
  if (missing !== undefined) throw new Error(`kafkajs has changed: ${file} has no line: ${missing}`)
  return load(path)
}

/** Replaces the exports of a file of kafkajs, before the files that use it are loaded. */
function replace(file: string, users: readonly string[], exports: unknown): void {
  const early = users.find((user) => load.cache[pathOf(user)])
  const module = load.cache[pathOf(file)]
  if (early || !module) throw new Error(`kafkajs has changed: ${early ?? file} is loaded at another time`)
  module.exports = exports
}

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  scheduleCheckPendingRequests(this: RequestQueue): void
}

/**
 * kafkajs sets a timer of one millisecond again and again, on every connection (tulios/kafkajs#1751), which is nine
 * tenths of an idle client's CPU. Set it only while requests wait or the broker throttles.
 */
function stopIdleTimer(): void {
  const { prototype } = mend<{ prototype: RequestQueue }>('network/requestQueue/index.js', [
    'scheduleCheckPendingRequests() {',
    'let scheduleAt = this.throttledUntil - Date.now()',
    'this.throttleCheckTimeoutId = setTimeout(() => {',
  ])
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function guarded() {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}

interface Cluster {
  findTopicPartitionMetadata(this: Cluster, topic: string): unknown[]
}

/**
 * When a caller adds a topic, kafkajs lets it share a metadata refresh that began without that topic. It then takes the
 * topic for one without partitions, and offsets and assignments are silently empty. With this patch that is a
 * retriable error; the next refresh asks for the topic.
 */
function missTopicsAloud(): void {
  const { prototype } = mend<{ prototype: Cluster }>('cluster/index.js', [
    'findTopicPartitionMetadata(topic) {',
    'return topicMetadata ? topicMetadata.partitionMetadata : []',
  ])
  const find = prototype.findTopicPartitionMetadata
  prototype.findTopicPartitionMetadata = function missing(topic) {
    const partitions = find.call(this, topic)
    if (partitions.length === 0)
      throw new KafkaJSTopicMetadataNotLoaded('Topic metadata not loaded', { topic })
    return partitions
  }
}

interface Decoder {
  buffer: Buffer
  offset: number
  canReadBytes(size: number): boolean
  readInt8(): number
  readInt32(): number
  readBytes(size: number): Buffer
  readVarInt(): number
  readVarLong(): { toString(): string }
  readVarIntBytes(): Buffer | null
  readVarIntString(): string | null
}

interface Encoder {
  buffer: Buffer
  writeInt8(value: number): Encoder
  writeVarInt(value: number): Encoder
  writeVarLong(value: number): Encoder
  writeVarIntBytes(value: Buffer | string | null): Encoder
  writeVarIntString(value: string): Encoder
  writeEncoder(value: Encoder): Encoder
  size(): number
}

/** The fields of a batch that decoding its records needs. */
interface BatchContext {
  firstOffset: string
  firstTimestamp: string
  maxTimestamp: string
  timestampType: number
  magicByte: number
  isControlBatch: boolean
}

interface OutMessage extends Omit<kafkajs.Message, 'headers'> {
  headers?: Header[]
  offsetDelta: number
  timestampDelta: number
  /** Set by the sender. */
  guard?: { beforeEncoding: () => void }
}

const logAppendTime = 1

/**
 * kafkajs keeps headers in an object. That loses the order of names that alternate, puts names of digits first and
 * takes `__proto__` for the object's prototype; kafkajs also throws over a null when it writes one, or reads one
 * beside another value of the same name. With this patch headers are a list in both directions; kafkajs-record.ts
 * puts it where kafkajs's types expect an object.
 */
function keepHeaders(): void {
  mend('protocol/recordBatch/record/v0/decoder.js', [
    'const headers = decoder.readVarIntArray(HeaderDecoder).reduce(',
    'obj[key] === undefined',
    ': [obj[key], value],',
  ])
  replace('protocol/recordBatch/record/v0/decoder.js', ['protocol/recordBatch/v0/decoder.js'], decodeRecord)
  mend('protocol/recordBatch/record/v0/index.js', [
    'const headersArray = Object.keys(headers).flatMap(headerKey =>',
    'const valueSize = Buffer.byteLength(header.value)',
  ])
  const BodyEncoder = load(pathOf('protocol/encoder.js')) as new () => Encoder
  replace(
    'protocol/recordBatch/record/v0/index.js',
    ['protocol/requests/produce/v3/request.js'],
    (message: OutMessage) => {
      message.guard?.beforeEncoding()
      const { headers = [] } = message
      const body = new BodyEncoder()
        .writeInt8(0)
        .writeVarLong(message.timestampDelta)
        .writeVarInt(message.offsetDelta)
        .writeVarIntBytes(message.key ?? null)
        .writeVarIntBytes(message.value)
        .writeVarInt(headers.length)
      for (const { name, value } of headers) body.writeVarIntString(name).writeVarIntBytes(value)
      return new BodyEncoder().writeVarInt(body.size()).writeEncoder(body)
    },
  )
}

/** Does the same as kafkajs's own decoder, except for the headers. */
function decodeRecord(decoder: Decoder, batch: BatchContext) {
  const attributes = decoder.readInt8()
  const timestampDelta = decoder.readVarLong()
  const offsetDelta = decoder.readVarInt()
  const key = decoder.readVarIntBytes()
  const value = decoder.readVarIntBytes()
  const headers: Header[] = []
  for (let left = decoder.readVarInt(); left > 0; left--) {
    const name = decoder.readVarIntString() ?? ''
    headers.push({ name, value: decoder.readVarIntBytes() })
  }
  return {
    ...{ magicByte: batch.magicByte, attributes, key, value, headers },
    timestamp:
      batch.timestampType === logAppendTime
        ? batch.maxTimestamp
        : String(Number(batch.firstTimestamp) + Number(timestampDelta.toString())),
    offset: String(Number(batch.firstOffset) + offsetDelta),
    isControlRecord: batch.isControlBatch,
    batchContext: batch,
  }
}

/** The records that a fetch returned for one partition, as kafkajs passes them on. */
interface FetchedRecords extends Array<unknown> {
  /** The offset after the last whole batch; absent if there was none. */
  next?: number
  /** Why the first batch cannot be read. */
  fault?: Error
}

/** Bytes of a batch before its records; a shorter rest of the answer is ignored. */
const batchOverhead = 61
const magicAt = 16
const magic = 2
/** Kafka's codes for lasting errors of one partition's log. */
const logErrors = new Map([
  [-1, 'the broker cannot read it, and does not know the error'],
  [2, 'a batch is corrupt'],
  [56, 'the disk under it fails'],
])

interface RecordBatch {
  firstOffset: string
  lastOffsetDelta: number
  records: unknown[]
}

interface FetchResponse {
  responses: { partitions: { errorCode: number; messages: FetchedRecords }[] }[]
}

/**
 * kafkajs reads a fetch response whole or not at all: a batch of one partition that cannot be read stops all partitions
 * of that broker, and then ends the consumer. With this patch it is a fault of its partition, which the consumer gets
 * from {@link faultOf}. The patch also notes where a partition's batches end, for {@link endAtBatches}.
 */
function readByPartition(): void {
  const file = 'protocol/requests/fetch/v4/decodeMessages.js'
  const versions = [4, 5, 6, 7, 8, 9, 10, 11].map((n) => `protocol/requests/fetch/v${n}/response.js`)
  mend(file, ['records.push(...recordBatch.records)', "if (e.name === 'KafkaJSPartialMessageError') {"])
  replace(file, versions, decodeBatches)
  const { createErrorFromCode } = mend<{ createErrorFromCode: (code: number) => Error }>(
    'protocol/error.js',
    [],
  )
  for (const version of versions) {
    const response = mend<{ parse: (data: FetchResponse) => Promise<unknown> }>(version, [
      'module.exports = {',
    ])
    const { parse } = response
    response.parse = (data) => {
      for (const partition of data.responses.flatMap(({ partitions }) => partitions)) {
        if (!logErrors.has(partition.errorCode)) continue
        partition.messages = Object.assign([], { fault: createErrorFromCode(partition.errorCode) })
        partition.errorCode = 0
      }
      return parse(data)
    }
  }
}

async function decodeBatches(decoder: Decoder): Promise<FetchedRecords> {
  const decodeBatch: (decoder: Decoder) => Promise<RecordBatch> = load(
    pathOf('protocol/recordBatch/v0/decoder.js'),
  )
  const size = decoder.readInt32()
  if (size <= 0) return []
  const BatchDecoder = decoder.constructor as new (bytes: Buffer) => Decoder
  const batches = new BatchDecoder(decoder.readBytes(size))
  const records: FetchedRecords = []
  try {
    while (batches.canReadBytes(batchOverhead)) {
      if (batches.buffer[batches.offset + magicAt] !== magic) throw new Error('a batch of another format')
      const batch = await decodeBatch(batches)
      for (const record of batch.records) records.push(record)
      records.next = Number(batch.firstOffset) + batch.lastOffsetDelta + 1
    }
  } catch (error) {
    // A full answer cuts off its last batch. A later batch that cannot be read is the first one of the next fetch.
    const isCutOff = error instanceof Error && error.name === 'KafkaJSPartialMessageError'
    if (!isCutOff && records.next === undefined) records.fault = toError(error)
  }
  return records
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

interface Batch {
  topic: string
  partition: number
  fetchedOffset: string
  rawMessages: FetchedRecords
  isEmpty(): boolean
  isEmptyDueToFiltering(): boolean
  lastOffset(): string
}

/**
 * The log cleaner keeps a producer's last batch even without records, and batches whose last offsets have no record.
 * kafkajs goes by records: it fetches an empty batch endlessly if the next one does not fit beside it, and it goes
 * offset by offset through the empty end of a batch. With this patch a batch ends at the offset in its header.
 */
function endAtBatches(): void {
  const { prototype } = mend<{ prototype: Batch }>('consumer/batch.js', [
    'return this.isEmpty() && this.rawMessages.length > 0',
    'return this.fetchedOffset',
    'return this.messagesWithinOffset[this.messagesWithinOffset.length - 1].offset',
  ])
  const { lastOffset } = prototype
  prototype.isEmptyDueToFiltering = function isRead() {
    return this.isEmpty() && isAhead(this)
  }
  prototype.lastOffset = function ofBatches() {
    const { next } = this.rawMessages
    return next !== undefined && isAhead(this) ? String(next - 1) : lastOffset.call(this)
  }
}

/** Whether a fetch returned a whole batch, so that the next one begins further on. */
function isAhead({ rawMessages: { next }, fetchedOffset }: Batch): boolean {
  return next !== undefined && next > Number(fetchedOffset)
}

interface OffsetManager {
  memberAssignment: Record<string, number[] | undefined>
  committedOffsets(): Record<string, Record<number, string | undefined> | undefined>
  nextOffset(topic: string, partition: number): { toString(): string }
}

interface Runner {
  running: boolean
  consumerGroup: { offsetManager: OffsetManager; cluster: { refreshMetadata(): Promise<void> } }
  handleBatch(this: Runner, batch: Batch): Promise<void>
  processEachBatch(batch: Batch): Promise<void>
  heartbeat(): Promise<void>
}

/**
 * kafkajs fetches from several brokers at a time. A fetch that finds a moved leader or new partitions joins the group
 * again, and the answers to the others still arrive. They were fetched from the read-ahead position of the earlier
 * assignment, and would move the new position past records that are not handled. So a batch is passed on only if it
 * begins at the partition's next offset at that moment; a dropped one is fetched again from there.
 */
function dropStaleAnswers(): void {
  mend('consumer/consumerGroup.js', ['await this.joinAndSync()', 'await this.recoverFromFetch(e)'])
  mend('consumer/offsetManager/index.js', ['nextOffset(topic, partition) {', 'committedOffsets() {'])
  const { prototype } = mend<{ prototype: Runner }>('consumer/runner.js', [
    'async handleBatch(batch) {',
    'async processEachBatch(batch) {',
    'handler: batch => this.handleBatch(batch),',
  ])
  const handle = prototype.handleBatch
  prototype.handleBatch = async function current(batch) {
    if (!this.running || !isNext(batch, this.consumerGroup.offsetManager)) return
    if (!batch.rawMessages.fault) return handle.call(this, batch)
    // kafkajs does not pass on empty batches, but the consumer has to see this one.
    await this.processEachBatch(batch)
    // Another broker may lead the partition by now, and be able to read the batch.
    await this.consumerGroup.cluster.refreshMetadata().catch(() => undefined)
    await this.heartbeat()
  }
}

function isNext({ topic, partition, fetchedOffset }: Batch, offsets: OffsetManager): boolean {
  // Right after a join the new generation's offsets are not known, so no answer can belong to it.
  if (!offsets.memberAssignment[topic]?.includes(partition)) return false
  if (offsets.committedOffsets()[topic]?.[partition] == null) return false
  return offsets.nextOffset(topic, partition).toString() === fetchedOffset
}

/** Where and why the next batch of this partition cannot be read, or null if it can. A batch with a fault is empty. */
export function faultOf(batch: kafkajs.Batch): { offset: number; reason: string } | null {
  const { fetchedOffset, rawMessages } = batch as unknown as Batch
  return rawMessages.fault ? { offset: Number(fetchedOffset), reason: rawMessages.fault.message } : null
}

/**
 * kafkajs measures time by the wall clock. If that steps back by an hour, kafkajs sends no heartbeat, times out no
 * request and refreshes no metadata for an hour. This patch keeps its moments on the monotonic clock.
 */
function waitBySteadyClock(): void {
  const moments: [string, string, string[]][] = [
    ['network/requestQueue/socketRequest.js', 'sentAt', ['this.sentAt = Date.now()']],
    ['network/requestQueue/index.js', 'throttledUntil', ['this.throttledUntil > Date.now()']],
    ['consumer/consumerGroup.js', 'lastRequest', ['if (memberId && now >= this.lastRequest + interval) {']],
    ['cluster/brokerPool.js', 'metadataExpireAt', ['Date.now() > this.metadataExpireAt ||']],
  ]
  for (const [file, name, lines] of moments) {
    keepSteady(mend<{ prototype: object }>(file, lines).prototype, name)
  }
}

/**
 * Defines a property that holds a moment of the wall clock. When read, it has moved as far as that clock has stepped.
 */
function keepSteady(prototype: object, name: string): void {
  const kept = new WeakMap<object, number | null>()
  const wallMinusSteady = () => Date.now() - performance.now()
  Object.defineProperty(prototype, name, {
    get(this: object): number | null {
      const moment = kept.get(this) ?? null
      return moment === null ? null : moment + wallMinusSteady()
    },
    set(this: object, moment: number | null) {
      kept.set(this, moment === null ? null : moment - wallMinusSteady())
    },
  })
}

/** Versions of an API that kafkajs speaks, by its name for the API; none if it does not know the API. */
export function spokenVersions(api: string): number[] {
  const { requests } = mend<{ requests: Record<string, { versions: (string | number)[] }> }>(
    'protocol/requests/index.js',
    ["Fetch: require('./fetch'),"],
  )
  return (requests[api]?.versions ?? []).map(Number)
}

/** Commits once for a member in its present generation, also before kafkajs considers the consumer running. */
export type GroupCommit = (offsets: kafkajs.OffsetsByTopicPartition) => Promise<void>

interface ConsumerGroup {
  groupId: string
  memberId: string
  commitOffsets: GroupCommit
  joinAndSync(this: ConsumerGroup): Promise<void>
  recoverFromOffsetOutOfRange(this: ConsumerGroup, error: { topic: string; partition: number }): Promise<void>
}

const guardedGroups = new Set<string>()
const looks = new Map<string, (commit: GroupCommit) => Promise<void>>()

/**
 * Makes consumers of this group end when a position is out of range. kafkajs would commit a sentinel as the group's
 * offset and go on at one end of the log, without checking why.
 */
export function guardGroup(group: string): void {
  guardedGroups.add(group)
}

/** Makes a member that has just joined wait for `look`, which may commit, before it fetches. */
export function holdFetch(memberId: string, look: (commit: GroupCommit) => Promise<void>): void {
  looks.set(memberId, look)
}

function guardPositions(): void {
  const { prototype } = mend<{ prototype: ConsumerGroup }>('consumer/consumerGroup.js', [
    'joinAndSync() {',
    'async recoverFromOffsetOutOfRange(e) {',
    'await this.offsetManager.setDefaultOffset({',
  ])
  const { joinAndSync, recoverFromOffsetOutOfRange: recover } = prototype
  prototype.joinAndSync = async function held() {
    await joinAndSync.call(this)
    const look = looks.get(this.memberId)
    looks.delete(this.memberId)
    await look?.((offsets) => this.commitOffsets(offsets))
  }
  prototype.recoverFromOffsetOutOfRange = async function guarded(error) {
    if (!guardedGroups.has(this.groupId)) return recover.call(this, error)
    throw new KafkaJSNonRetriableError(`Offset out of range in ${error.topic}/${error.partition}`)
  }
}
