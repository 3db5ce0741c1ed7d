import { once } from 'node:events'
import { bringUp, type Part } from './bring-up.ts'
import { reportingFaults } from './infra/stack-fault.ts'
import { watchForInterruption } from './interruption.ts'
import { readStackSettings } from './settings.ts'
import { openView } from './view/view.ts'

/**
 * `npm start`: the servers, the migration, simulators where there are no credentials, the services; until
 * Ctrl-C or until a server ends. A second Ctrl-C does not wait for anything to end in good order.
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
    // What was under way when the end came fails because of it.
    if (!signal.aborted) throw error
  } finally {
    if (parts.length > 0) view.note('Stopping …')
    for (const part of parts.toReversed()) await part.stop()
    view.close()
    interruption.release()
  }
  if (failure.signal.aborted) throw failure.signal.reason
})
