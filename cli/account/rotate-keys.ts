import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural } from '../../lib/words.ts'
import type { RotationReport } from '../../operations/account/report.ts'
import { rotateKeys } from '../../operations/account/rotate-keys.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import type { Output } from '../terminal/output.ts'

interface Options {
  execute?: boolean
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Seals all tokens with the first key of TOKEN_ENCRYPTION_KEYS, while the pollers run. Shows what it would do; does it with --execute.',
    )
    .option('--execute', 'do it')
  act<Options>(command, run, work)
  examples(command, ['songswap account rotate-keys', 'songswap account rotate-keys --execute'])
  notes(command, [
    'First put the new key before the old ones in TOKEN_ENCRYPTION_KEYS and start the pollers again with it. When this command finds nothing to do, the old keys may go.',
    'Exits with 1 when tokens are left: sealed with a key that is not there, or being refreshed all the time.',
  ])
}

async function work(context: CliContext, { execute = false }: Options): Promise<number> {
  const { out } = context
  const report = await rotateKeys(context.operator, {
    execute,
    signal: context.interruption(),
    onProgress: context.onProgress('users'),
  })
  if (out.json) out.printJson(report)
  else print(out, report)
  const left = report.unreadable.length + report.busy
  return left > 0 || report.aborted ? exitCodes.fault : exitCodes.stopped
}

function print(out: Output, { executed, sealed, current, unreadable, busy }: RotationReport): void {
  const verb = executed ? 'were sealed anew' : 'would be sealed anew'
  out.print(`${toPlural(sealed, 'user')} ${verb}; ${current} had the first key already.`)
  for (const { userId, reason } of unreadable.slice(0, 10)) out.say(`User ${userId}: ${reason}.`)
  if (busy > 0) out.say(`${toPlural(busy, 'user')} had a refresh under way: run it again.`)
  if (!executed && sealed > 0) out.say('Nothing was changed. Do it with: --execute')
}
