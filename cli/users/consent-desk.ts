import { OperatorFault } from '../../operations/fault.ts'
import { readCallback } from '../../operations/users/consent.ts'
import { toPrintable } from '../terminal/table.ts'
import type { BrowserPage } from './callback-server.ts'

/** Receives Spotify's answer from the browser's call or from a pasted line. */
export interface ConsentDesk {
  /** Accepts answers to this redirect address from now on. */
  open(redirectUri: string): void
  /** The code of the first answer with the attempt's state; rejects if the user declined or Spotify refused. */
  code: Promise<string>
  /** Takes an address that the browser called; resolves to its page, for a code the page of {@link close}. */
  offer(address: string): Promise<BrowserPage>
  /** Takes a line that a person pasted. */
  paste(line: string): void
  /** Sets the page for the browser that brought the code. */
  close(page: BrowserPage): void
}

/**
 * Reports and ignores answers with another state: neither an old tab nor a page that guesses the loopback address may
 * end the attempt.
 *
 * @param say prints a message for the person at the terminal
 */
export function openConsentDesk(state: string, say: (text: string) => void): ConsentDesk {
  const code = Promise.withResolvers<string>()
  const result = Promise.withResolvers<BrowserPage>()
  // A refusal may come before anything awaits the code: this keeps it from being an unhandled rejection.
  code.promise.catch(() => undefined)
  let redirectUri = ''
  let taken = false

  async function offer(address: string): Promise<BrowserPage> {
    const callback = readCallback(address, { redirectUri, state })
    switch (callback.type) {
      case 'not_a_callback':
        return { status: 400, text: `That is not Spotify's answer: it begins with ${redirectUri}?code=` }
      case 'wrong_state':
        say('An answer with another state came: it belongs to another attempt and is ignored. Still waiting.')
        return { status: 400, text: 'This answer belongs to another attempt. Use the address shown last.' }
      case 'declined': {
        const what =
          callback.error === 'access_denied'
            ? 'The user declined the consent'
            : `Spotify refuses the consent: ${toPrintable(callback.error)}`
        code.reject(new OperatorFault(what, 'Nothing was stored. Start again: songswap users connect'))
        return { status: 200, text: `${what}. You may close this window.` }
      }
      case 'code':
        if (taken) return { status: 409, text: 'This answer was received already.' }
        taken = true
        code.resolve(callback.code)
        return await result.promise
    }
  }

  return {
    code: code.promise,
    open(uri) {
      redirectUri = uri
    },
    offer,
    paste(line) {
      if (line.trim() === '') return
      if (readCallback(line, { redirectUri, state }).type === 'not_a_callback') {
        say(`That is not Spotify's answer: paste the whole address, from ${redirectUri}?code= on.`)
      } else void offer(line)
    },
    close: result.resolve,
  }
}
