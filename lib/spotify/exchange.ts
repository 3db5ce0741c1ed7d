import type { Dispatcher } from 'undici'
import type { HttpAnswer } from './decode-body.ts'

/**
 * Sends one request and takes its answer as a whole. Not with undici's `request`: the stream that it makes of every
 * body lets V8 collect pages only with the whole heap, and 64 MB of them lie about meanwhile.
 *
 * @throws undici's errors, and what the signal's reason is
 */
export async function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const answer: Omit<HttpAnswer, 'body'> = { status: 0, headers: {} }
  const chunks: Buffer[] = []
  let abort: ((reason: Error) => void) | null = null
  const giveUp = () => {
    reject(signal.reason)
    abort?.(signal.reason)
  }

  signal.addEventListener('abort', giveUp)
  dispatcher.dispatch(request, {
    onRequestStart(controller) {
      // It may have waited for its connection longer than anybody wants its answer.
      if (signal.aborted) controller.abort(signal.reason)
      else abort = (reason) => controller.abort(reason)
    },
    onResponseStart(_controller, status, headers) {
      Object.assign(answer, { status, headers })
    },
    onResponseData(_controller, chunk) {
      chunks.push(chunk)
    },
    onResponseEnd() {
      resolve({ ...answer, body: Buffer.concat(chunks) })
    },
    onResponseError(_controller, error) {
      reject(error)
    },
  })
  return promise.finally(() => signal.removeEventListener('abort', giveUp))
}
