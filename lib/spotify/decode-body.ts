import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib'

/** A complete HTTP answer. Header names are in lower case. */
export interface HttpAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

const decoders = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
}

/** Content codings that a body still has, outermost last; empty if it can be read. */
export function codingsOf({ headers }: Pick<HttpAnswer, 'headers'>): string[] {
  const header = headers['content-encoding']
  const text = Array.isArray(header) ? header.join(',') : (header ?? '')
  return text
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
}

/**
 * Removes the content codings of a body. songswap asks for none, but a proxy may add one. If one cannot be removed, the
 * answer stays as it is, with its header: it is then not readable.
 *
 * @param maxBytes the most that the body may have without its codings
 */
export async function decodeBody(answer: HttpAnswer, maxBytes: number): Promise<HttpAnswer> {
  const codings = codingsOf(answer)
  if (codings.length === 0) return answer
  let { body } = answer
  for (const coding of codings.toReversed()) {
    const decode = Object.hasOwn(decoders, coding) ? decoders[coding as keyof typeof decoders] : null
    const decoded = await decode?.(body, { maxOutputLength: maxBytes }).catch(() => null)
    if (!decoded) return answer
    body = decoded
  }
  const { 'content-encoding': _taken, ...headers } = answer.headers
  return { ...answer, headers, body }
}
