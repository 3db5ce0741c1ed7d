import { z } from 'zod'
import { type Answer, json } from '../answer.ts'
import { type Channel, openThread } from './channel.ts'

const query = z.object({ thread_id: z.string().optional() })
const body = z.object({ thread_name: z.string().optional() })

/** Where a message goes: a thread, or null for the channel itself; or Discord's refusal. */
export function toPlace(
  channel: Channel,
  request: { query: unknown; body: unknown },
): { type: 'place'; threadId: string | null } | { type: 'refused'; answer: Answer } {
  const { thread_id: id } = query.parse(request.query)
  const { thread_name: name } = body.parse(request.body)
  if (id !== undefined && name !== undefined) return refused(400, 220_002, mayNotHaveBoth)
  if (id !== undefined && !channel.threads.has(id)) return refused(404, 10_003, 'Unknown Channel')
  if (id !== undefined) return { type: 'place', threadId: id }
  if (channel.kind === 'text') {
    return name === undefined ? { type: 'place', threadId: null } : refused(400, 220_003, forumsOnly)
  }
  if (name === undefined) return refused(400, 220_001, needsThread)
  return { type: 'place', threadId: openThread(channel, name) }
}

const needsThread = 'Webhooks posted to forum channels must have a thread_name or thread_id'
const mayNotHaveBoth = 'Webhooks posted to forum channels cannot have both a thread_name and thread_id'
const forumsOnly = 'Webhooks can only create threads in forum channels'

function refused(status: number, code: number, message: string): { type: 'refused'; answer: Answer } {
  return { type: 'refused', answer: json(status, { message, code }) }
}
