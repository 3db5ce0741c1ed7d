import { once } from 'node:events'
import { bringUp, type Part } from './bring-up.ts'
import { reportingFaults } from './infra/stack-fault.ts'
import { watchForInterruption } from './interruption.ts'
import { readStackSettings } from './settings.ts'
import { openView } from './view/view.ts'

/**
 * `npm start`: starts the servers, migrates, starts simulators (without credentials) and the services; runs until
 * Ctrl-C or the end of a server. A second Ctrl-C kills everything at once.
 */
await reportingFaults(async () => {
  const settings = readStackSettings()
  const parts: Part[] = []
  const failure = new AbortController()
  const interruption = watchForInterruption(() => {
    for (const part of parts) void part.kill()
  })
  const signal = AbortSignal.any([interruption.signal, failure.signal])
  const view = openView()
  try {
    await bringUp({ settings, view, parts, signal, fail: (fault) => failure.abort(fault) })
    if (!signal.aborted) await once(signal, 'abort')
  } catch (error) {
    // After an abort, an error is only its consequence.
    if (!signal.aborted) throw error
  } finally {
    if (parts.length > 0) view.note('Stopping …')
    for (const part of parts.toReversed()) await part.stop()
    view.close()
    interruption.release()
  }
  if (failure.signal.aborted) throw failure.signal.reason
})
