import type { Command } from 'commander'
import { pause } from '../../lib/backoff.ts'
import { parseEnv, tokenKeysEnv } from '../../lib/config.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto, UnreadableTokenError } from '../../lib/spotify/token-crypto.ts'
import type { SealedTokens } from '../../lib/spotify/token-store.ts'
import { readSealed, reseal } from '../../lib/spotify/token-store.ts'
import { toPlural } from '../../lib/words.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'

interface Options {
  execute?: true
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Seals all tokens with the first key of TOKEN_ENCRYPTION_KEYS, while the pollers run. Shows what it would do; does it with --execute.',
    )
    .option('--execute', 'do it')
  act<Options>(command, run, rotate)
  examples(command, ['songswap account rotate-keys', 'songswap account rotate-keys --execute'])
  notes(command, [
    'First put the new key before the old ones in TOKEN_ENCRYPTION_KEYS and start the pollers again with it. When this command finds nothing to do, the old keys may go.',
    'Exits with 1 when tokens are left: sealed with a key that is not there, or being refreshed all the time.',
  ])
}

/** What was found. `sealed` + `current` + `unreadable` + `busy` = all users with tokens. */
interface Tally {
  current: number
  sealed: number
  /** Sealed with a key that is not at hand, or damaged. */
  unreadable: { userId: number; reason: string }[]
  /** Being refreshed whenever they were tried. */
  busy: number
}

const batchSize = 500
/** A refresh takes seconds: whoever was busy in one pass is tried again in the next. */
const passes = 10
const betweenPassesMs = 2_000

async function rotate(context: CliContext, { execute }: Options): Promise<number> {
  const { env, out } = context
  const crypto = createTokenCrypto(parseEnv(tokenKeysEnv, env).TOKEN_ENCRYPTION_KEYS)
  const sql = await context.operator.postgres()
  const signal = context.interruption()
  const progress = context.progress({ total: null, unit: 'users' })
  const tally = await goThrough(sql, crypto, { execute: execute ?? false, signal, onUsers: progress.add })
  progress.end()

  const left = tally.unreadable.length + tally.busy
  if (out.json) out.printJson({ executed: execute ?? false, ...tally, aborted: signal.aborted })
  else {
    const verb = execute ? 'were sealed anew' : 'would be sealed anew'
    out.print(`${toPlural(tally.sealed, 'user')} ${verb}; ${tally.current} had the first key already.`)
    for (const { userId, reason } of tally.unreadable.slice(0, 10)) out.say(`User ${userId}: ${reason}.`)
    if (tally.busy > 0) out.say(`${toPlural(tally.busy, 'user')} had a refresh under way: run it again.`)
    if (!execute && tally.sealed > 0) out.say('Nothing was changed. Do it with: --execute')
  }
  return left > 0 || signal.aborted ? exitCodes.fault : exitCodes.stopped
}

async function goThrough(
  sql: Postgres,
  crypto: TokenCrypto,
  options: { execute: boolean; signal: AbortSignal; onUsers: (n: number) => void },
): Promise<Tally> {
  const tally: Tally = { current: 0, sealed: 0, unreadable: [], busy: 0 }
  for (let pass = 0; pass < passes && !options.signal.aborted; pass++) {
    if (pass > 0) await pause(betweenPassesMs, options.signal)
    const seen = { current: 0, unreadable: [] as Tally['unreadable'], busy: 0, sealed: 0 }
    for (let after = 0; !options.signal.aborted; ) {
      const batch = await readSealed(sql, after, batchSize)
      if (batch.length === 0) break
      for (const tokens of batch) await sealOne(sql, crypto, { tokens, execute: options.execute, seen })
      after = batch.at(-1)?.userId ?? after
      if (pass === 0) options.onUsers(batch.length)
    }
    // Users whom an earlier pass has sealed are current in this one.
    tally.current = seen.current - tally.sealed
    tally.sealed += seen.sealed
    tally.unreadable = seen.unreadable
    tally.busy = seen.busy
    if (tally.busy === 0) break
  }
  return tally
}

async function sealOne(
  sql: Postgres,
  crypto: TokenCrypto,
  of: { tokens: SealedTokens; execute: boolean; seen: Tally },
): Promise<void> {
  const { tokens, execute, seen } = of
  const { refreshSealed, accessSealed } = tokens
  if ([refreshSealed, accessSealed].every((t) => t === null || crypto.isCurrent(t))) {
    seen.current++
    return
  }
  try {
    const fresh = {
      refreshSealed: await crypto.seal(await crypto.open(refreshSealed)),
      accessSealed: accessSealed && (await crypto.seal(await crypto.open(accessSealed))),
    }
    if (!execute || (await reseal(sql, tokens, fresh))) seen.sealed++
    else seen.busy++
  } catch (error) {
    if (!(error instanceof UnreadableTokenError)) throw error
    seen.unreadable.push({ userId: tokens.userId, reason: error.message })
  }
}
