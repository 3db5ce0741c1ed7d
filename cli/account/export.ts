import { once } from 'node:events'
import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toCount, toPlural } from '../../lib/words.ts'
import { exportPlays } from '../../operations/account/export.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'

export function define(command: Command, run: Run): void {
  command.description(
    "Writes one user's plays to standard output, oldest first, a JSON object on each line: when, what, from where, and all that is known of the track, in Spotify's own names, with the time at which that was fetched.",
  )
  act<object>(command, run, work)
  examples(command, [
    'songswap account export 7 > plays.ndjson',
    'songswap account export alice | gzip > plays.ndjson.gz',
    'songswap restore --from-file plays.ndjson --execute',
  ])
  notes(command, [
    'songswap restore --from-file reads it back, here or in another installation (--as gives the plays to another user).',
  ])
}

async function work(context: CliContext, _options: object, user = ''): Promise<number> {
  const { out } = context
  const { stdout } = context.terminal
  const { total, portions } = await exportPlays(context.operator, user)
  const signal = context.interruption()
  const onProgress = context.onProgress('plays')
  let written = 0
  for await (const portion of portions) {
    if (signal.aborted) break
    const text = portion.map((line) => `${JSON.stringify(line)}\n`).join('')
    if (!stdout.write(text)) await once(stdout, 'drain')
    written += portion.length
    onProgress(written, total)
  }
  out.say(
    `${toPlural(written, 'play')} written${signal.aborted ? ` of ${toCount(total)}: interrupted` : ''}.`,
  )
  return signal.aborted ? exitCodes.fault : exitCodes.stopped
}
