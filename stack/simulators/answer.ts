import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/** An HTTP answer as a value. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string | Buffer
}

/**
 * How an answer reaches the client: `whole`; `truncated` (half the body, as if it were all of it); `slow` (in
 * pieces over some seconds); `cut_off` (half the body, then a reset); `reset` (before the first byte); `hang`
 * (nothing, for a long time).
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
 * Sends an answer. `delivered` is called once the last byte of a complete body was given to the operating
 * system on a living connection, and never for a body that was truncated, cut off or not sent at all.
 */
export function send(
  reply: FastifyReply,
  answer: Answer,
  options: { delivery: Delivery; times: DeliveryTimes; delivered?: (body: Buffer) => void },
): FastifyReply {
  const { delivery, times, delivered } = options
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  if (delivery === 'hang' || delivery === 'reset') return sever(reply, delivery === 'hang' ? times.hangMs : 0)
  if (delivery === 'cut_off') return cutOff(reply, answer, body)
  reply.code(answer.status).headers(answer.headers)
  if (delivery === 'truncated') return reply.send(body.subarray(0, Math.floor(body.length / 2)))
  if (delivered) onDelivered(reply, () => delivered(body))
  if (delivery === 'whole') return reply.send(body)
  reply.header('content-length', body.length)
  return reply.send(Readable.from(inPieces(body, times.slowBodyMs), { objectMode: false }))
}

function onDelivered(reply: FastifyReply, delivered: () => void): void {
  reply.raw.once('finish', () => {
    if (!reply.request.raw.socket.destroyed) delivered()
  })
}

function sever(reply: FastifyReply, afterMs: number): FastifyReply {
  reply.hijack()
  const socket = reply.request.raw.socket
  const timer = setTimeout(() => socket.resetAndDestroy(), afterMs)
  socket.once('close', () => clearTimeout(timer))
  return reply
}

function cutOff(reply: FastifyReply, answer: Answer, body: Buffer): FastifyReply {
  reply.hijack()
  reply.raw.writeHead(answer.status, { ...answer.headers, 'content-length': body.length })
  reply.raw.write(body.subarray(0, Math.floor(body.length / 2)), () =>
    reply.request.raw.socket.resetAndDestroy(),
  )
  return reply
}

async function* inPieces(body: Buffer, totalMs: number): AsyncGenerator<Buffer> {
  const pieces = 10
  const size = Math.ceil(body.length / pieces)
  for (let start = 0; start < body.length; start += size) {
    yield body.subarray(start, start + size)
    await new Promise((resolve) => setTimeout(resolve, totalMs / pieces))
  }
}
