import { createRequire } from 'node:module'

interface Fetching {
  fetch(request: { topics: { topic: string }[] }): Promise<unknown>
}

/**
 * Makes this process's fetches from a topic fail as if the broker refused them.
 *
 * @param code of Kafka's errors
 * @param times number of refused fetches; default: all
 */
export function refusedFetches(
  topic: string,
  { code, times = Number.POSITIVE_INFINITY }: { code: number; times?: number },
): { restore: () => void; refused: () => number } {
  const load = createRequire(import.meta.url)
  const { prototype }: { prototype: Fetching } = load('kafkajs/src/broker/index.js')
  const { createErrorFromCode }: { createErrorFromCode: (code: number) => Error } = load(
    'kafkajs/src/protocol/error.js',
  )
  const { fetch } = prototype
  let refused = 0
  prototype.fetch = async function refusing(request) {
    if (refused < times && request.topics.some((asked) => asked.topic === topic)) {
      refused++
      throw createErrorFromCode(code)
    }
    return fetch.call(this, request)
  }
  return { restore: () => Object.assign(prototype, { fetch }), refused: () => refused }
}
