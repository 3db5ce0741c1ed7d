import type { FastifyReply } from 'fastify'

/** An HTTP answer as a value. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string | Buffer
}

/**
 * How an answer reaches the client:
 * - `truncated`: half the body, with a content-length that fits it
 * - `slow`: in pieces, over `slowBodyMs`
 * - `cut_off`: half the body, then a reset
 * - `reset`: a reset before the first byte
 * - `hang`: nothing for `hangMs`, then a reset
 */
export type Delivery = 'whole' | 'truncated' | 'slow' | 'cut_off' | 'reset' | 'hang'

export interface DeliveryTimes {
  hangMs: number
  slowBodyMs: number
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return rawJson(status, JSON.stringify(body), headers)
}

export function rawJson(status: number, body: string | Buffer, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body }
}

export function text(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body }
}

export function html(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers }, body }
}

/**
 * Sends an answer. `delivered` is called when the operating system has taken the last byte of a complete body.
 * It is not called for a body that is truncated, cut off or never sent, or whose client leaves before the end.
 *
 * Only the callback of the write is exact: `finish` is emitted for aborted answers too, and comes when the socket
 * may already be closed. The callback runs in the same turn of the event loop as the write, so a client that has
 * read the whole body finds it counted.
 */
export function send(
  reply: FastifyReply,
  answer: Answer,
  options: { delivery: Delivery; times: DeliveryTimes; delivered?: (body: Buffer) => void },
): FastifyReply {
  const { delivery, times, delivered = () => undefined } = options
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  const half = body.subarray(0, Math.floor(body.length / 2))
  reply.hijack()
  if (delivery === 'hang' || delivery === 'reset') sever(reply, delivery === 'hang' ? times.hangMs : 0)
  else if (delivery === 'cut_off') cutOff(reply, answer, { half, length: body.length })
  else if (delivery === 'truncated') write(reply, answer, { pieces: [half], pauseMs: 0 })
  else {
    const pieces = delivery === 'slow' ? inPieces(body, 10) : [body]
    const pauseMs = delivery === 'slow' ? times.slowBodyMs / pieces.length : 0
    write(reply, answer, { pieces, pauseMs, written: () => delivered(body) })
  }
  return reply
}

interface Writing {
  pieces: Buffer[]
  pauseMs: number
  written?: () => void
}

function write(reply: FastifyReply, answer: Answer, { pieces, pauseMs, written }: Writing): void {
  const { raw } = reply
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  raw.writeHead(answer.status, {
    ...answer.headers,
    ...(answer.status !== 204 && { 'content-length': length }),
  })
  const writeFrom = (place: number): void => {
    const piece = pieces[place]
    if (piece === undefined || piece.length === 0) return void raw.end()
    const isLast = place === pieces.length - 1
    raw.write(piece, (error) => {
      if (error) return
      if (isLast) written?.()
      else setTimeout(writeFrom, pauseMs, place + 1)
    })
    if (isLast) raw.end()
  }
  writeFrom(0)
}

function sever(reply: FastifyReply, afterMs: number): void {
  const socket = reply.request.raw.socket
  const timer = setTimeout(() => socket.resetAndDestroy(), afterMs)
  socket.once('close', () => clearTimeout(timer))
}

function cutOff(reply: FastifyReply, answer: Answer, body: { half: Buffer; length: number }): void {
  reply.raw.writeHead(answer.status, { ...answer.headers, 'content-length': body.length })
  reply.raw.write(body.half, () => reply.request.raw.socket.resetAndDestroy())
}

function inPieces(body: Buffer, count: number): Buffer[] {
  const size = Math.max(1, Math.ceil(body.length / count))
  return Array.from({ length: Math.ceil(body.length / size) }, (_, place) =>
    body.subarray(place * size, (place + 1) * size),
  )
}
