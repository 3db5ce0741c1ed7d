import type { Dispatcher } from 'undici'
import type { HttpAnswer } from './decode-body.ts'

/**
 * Sends one request and returns its complete answer. Not with undici's `request`: it makes a stream of every body,
 * and V8 then frees pages only when it collects the whole heap, with up to 64 MB of them waiting.
 *
 * @throws undici's errors, and the signal's reason
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
      // The request may have been cancelled while it waited for a connection.
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
