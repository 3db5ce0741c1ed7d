import { Readable } from 'node:stream'
import type { ListObjectsV2CommandInput, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { S3Config } from './config.ts'
import type { Server } from './errors.ts'
import { from, messageOf, RetriableError } from './errors.ts'
import type { Resource } from './scope.ts'

/** An object to put. */
interface PutObject {
  key: string
  /** Opens the body; called once for each attempt. */
  open: () => Readable
  /** Of the body, in bytes. */
  length: number
  /** MD5 of the body in base64: the server refuses a body that was damaged on its way. */
  md5: string
  contentType: string
  metadata: Record<string, string>
}

/** The answer of HEAD for an object. */
interface ObjectHead {
  length: number
  metadata: Record<string, string>
}

/** An object in a listing. */
export interface ListedObject {
  key: string
  /** Identifies the present version, as in {@link S3.create} and {@link S3.read}; empty if the store gives none. */
  etag: string
}

/** An object that is being read. */
export interface OpenObject {
  body: Readable
  etag: string
  metadata: Record<string, string>
}

/** One bucket. Every method throws a RetriableError when the store is away, is busy or refuses the request. */
export interface S3 extends Resource {
  /**
   * Puts an object unless one exists under its key; never overwrites. When the answer to a put is lost, this throws
   * although the object may be stored; a second call then returns `exists`.
   */
  putIfAbsent(object: PutObject): Promise<'put' | 'exists'>
  /** As {@link putIfAbsent}. @returns the ETag of the new object, or null if an object exists */
  create(object: PutObject): Promise<string | null>
  /**
   * Replaces the object under a key. Only for erasing users.
   *
   * @param etag of the version to replace; a store without this condition replaces any version
   * @returns the ETag of the new object, or null if another version is there by now
   */
  replace(object: PutObject, etag?: string): Promise<string | null>
  /** Null if the object does not exist. */
  head(key: string): Promise<ObjectHead | null>
  /** An object's bytes. @throws an Error with the name NoSuchKey if it does not exist */
  get(key: string): Promise<Readable>
  /** As {@link get}, with ETag and metadata. */
  read(key: string): Promise<OpenObject>
  /** Objects whose keys begin with `prefix`, in the order of {@link list}. */
  objects(prefix: string): AsyncIterable<ListedObject>
  /** Keys that begin with `prefix` and come after `after`, in the order of their UTF-8 bytes. */
  list(prefix: string, after?: string): AsyncIterable<string>
  /** The folders directly below a prefix that ends with a slash; each ends with a slash too. */
  folders(prefix: string): AsyncIterable<string>
  delete(key: string): Promise<void>
}

const connectWithinMs = 5_000
/** A connection that is idle for this long is closed; a long upload that makes progress is not idle. */
const idleAfterMs = 30_000

/**
 * Opens a bucket of Amazon S3 or of a store with its protocol. Makes one attempt per call: the consumer retries, and
 * pauses its partition meanwhile.
 */
export function openS3(config: S3Config): S3 {
  const client = new S3Client(clientSettings(config))
  const Bucket = config.bucket
  const server: Server = {
    name: 'object-store',
    probe: () => client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 })),
  }
  const rethrow = (error: unknown): never => {
    throw from(server, toOutage(error))
  }

  async function* pages(input: { Prefix: string; Delimiter?: string; StartAfter?: string }) {
    for (let from: PageStart | null = { StartAfter: input.StartAfter }; from; ) {
      const page: ListObjectsV2CommandOutput = await client
        .send(new ListObjectsV2Command({ Bucket, ...input, StartAfter: undefined, ...from }))
        .catch(rethrow)
      yield page
      from = nextPage(page, from)
    }
  }

  const toInput = (object: PutObject) => ({
    Bucket,
    Key: object.key,
    Body: object.open(),
    ContentLength: object.length,
    ContentMD5: object.md5,
    ContentType: object.contentType,
    Metadata: object.metadata,
  })

  async function create(object: PutObject): Promise<string | null> {
    try {
      const answer = await client.send(new PutObjectCommand({ ...toInput(object), IfNoneMatch: '*' }))
      return toEtag(answer.ETag)
    } catch (error) {
      if (statusOf(error) === 412) return null
      return rethrow(error)
    }
  }

  async function read(key: string): Promise<OpenObject> {
    const found = await client.send(new GetObjectCommand({ Bucket, Key: key })).catch(rethrow)
    if (!(found.Body instanceof Readable)) throw new Error(`The object ${key} has no body`)
    return { body: found.Body, etag: toEtag(found.ETag), metadata: found.Metadata ?? {} }
  }

  return {
    create,

    async putIfAbsent(object) {
      return (await create(object)) === null ? 'exists' : 'put'
    },

    async replace(object, etag) {
      const put = (condition: { IfMatch?: string }) =>
        client.send(new PutObjectCommand({ ...toInput(object), ...condition }))
      try {
        const answer = await put(etag ? { IfMatch: `"${etag}"` } : {}).catch((error) => {
          if (etag && nameOf(error) === 'NotImplemented') return put({})
          throw error
        })
        return toEtag(answer.ETag)
      } catch (error) {
        const isOther = statusOf(error) === 412 || nameOf(error) === 'NoSuchKey'
        if (etag && isOther) return null
        return rethrow(error)
      }
    },

    async head(key) {
      try {
        const found = await client.send(new HeadObjectCommand({ Bucket, Key: key }))
        return { length: found.ContentLength ?? 0, metadata: found.Metadata ?? {} }
      } catch (error) {
        if (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket') return null
        return rethrow(error)
      }
    },

    read,

    async get(key) {
      return (await read(key)).body
    },

    async *objects(prefix) {
      for await (const page of pages({ Prefix: prefix })) {
        for (const { Key, ETag } of page.Contents ?? []) if (Key) yield { key: Key, etag: toEtag(ETag) }
      }
    },

    async *list(prefix, after) {
      for await (const page of pages({ Prefix: prefix, ...(after ? { StartAfter: after } : {}) })) {
        for (const { Key } of page.Contents ?? []) if (Key) yield Key
      }
    },

    async *folders(prefix) {
      for await (const page of pages({ Prefix: prefix, Delimiter: '/' })) {
        for (const { Prefix } of page.CommonPrefixes ?? []) if (Prefix) yield Prefix
      }
    },

    async delete(key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: key })).catch(rethrow)
    },

    close: () => client.destroy(),
  }
}

/** An ETag without its quotes, which some stores leave out of listings. A weak one identifies no version: empty. */
function toEtag(text = ''): string {
  return text.startsWith('W/') ? '' : text.replaceAll('"', '')
}

/** Where a page of a listing begins. */
type PageStart = Pick<ListObjectsV2CommandInput, 'StartAfter' | 'ContinuationToken'>

/** Sorts after every key of a folder, in the order of UTF-8 bytes. */
const afterAll = '\u{10FFFF}'

/**
 * Where the next page begins, or null after the last one. Some stores say that a listing goes on but give no token:
 * then it goes on after the last key.
 *
 * @throws RetriableError when the listing would make no progress
 */
function nextPage(page: ListObjectsV2CommandOutput, from: PageStart): PageStart | null {
  const token = page.NextContinuationToken || undefined
  if (!(page.IsTruncated ?? token !== undefined)) return null
  const lastKey = page.Contents?.at(-1)?.Key ?? ''
  const lastFolder = page.CommonPrefixes?.at(-1)?.Prefix
  const lastInFolder = lastFolder ? lastFolder + afterAll : ''
  const last = isAfter(lastKey, lastInFolder) ? lastKey : lastInFolder
  const isStuck = token ? token === from.ContinuationToken : !isAfter(last, from.StartAfter ?? '')
  if (isStuck) throw new RetriableError('The object store says that its listing goes on, but not where')
  return token ? { ContinuationToken: token } : { StartAfter: last }
}

/** Keys are ordered by their UTF-8 bytes. */
function isAfter(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0
}

/** Settings of every client of the bucket. */
export function clientSettings(config: S3Config) {
  return {
    region: config.region,
    maxAttempts: 1,
    // In S3-compatible stores buckets are paths, not host names; many stores refuse the SDK's checksum trailers.
    ...(config.endpoint ? { endpoint: config.endpoint, forcePathStyle: true } : {}),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // The SDK would log to the console, but every failure is thrown anyway.
    logger: silent,
    requestHandler: { connectionTimeout: connectWithinMs, socketTimeout: idleAfterMs },
    ...(config.credentials
      ? {
          credentials: {
            accessKeyId: config.credentials.accessKeyId.reveal(),
            secretAccessKey: config.credentials.secretAccessKey.reveal(),
          },
        }
      : {}),
  } as const
}

const nothing = () => undefined
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

/** Keeps NoSuchKey, which is an answer. Any other error is an outage, also a refusal. */
function toOutage(error: unknown): Error {
  if (nameOf(error) === 'NoSuchKey') return error as Error
  const text = [statusOf(error), nameOf(error), messageOf(error)].filter(Boolean).join(' ')
  return new RetriableError(`The object store does not do its work: ${text}`, { cause: error })
}

function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('$metadata' in error)) return null
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode ?? null
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
