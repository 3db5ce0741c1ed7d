import { pause } from '../../lib/backoff.ts'
import { parseEnv, tokenKeysEnv } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto, UnreadableTokenError } from '../../lib/spotify/token-crypto.ts'
import type { SealedTokens } from '../../lib/spotify/token-store.ts'
import { readSealed, reseal } from '../../lib/spotify/token-store.ts'
import type { Operator, Watch } from '../operator.ts'
import type { RotationReport } from './report.ts'

type Tally = Omit<RotationReport, 'executed' | 'aborted'>

interface RotateOptions extends Watch {
  /** If false, the report says what would be done. */
  execute: boolean
}

const batchSize = 500
/** A refresh takes seconds: users who were busy in one pass are tried again in the next. */
const passes = 10
const betweenPassesMs = 2_000

/** Seals all tokens with the first key of TOKEN_ENCRYPTION_KEYS, while the pollers run. */
export async function rotateKeys(operator: Operator, options: RotateOptions): Promise<RotationReport> {
  const crypto = createTokenCrypto(parseEnv(tokenKeysEnv, operator.env).TOKEN_ENCRYPTION_KEYS)
  const tally = await goThrough(await operator.postgres(), crypto, options)
  return { executed: options.execute, ...tally, aborted: options.signal.aborted }
}

async function goThrough(sql: Postgres, crypto: TokenCrypto, options: RotateOptions): Promise<Tally> {
  const tally: Tally = { current: 0, sealed: 0, unreadable: [], busy: 0 }
  let users = 0
  for (let pass = 0; pass < passes && !options.signal.aborted; pass++) {
    if (pass > 0) await pause(betweenPassesMs, options.signal)
    const seen: Tally = { current: 0, sealed: 0, unreadable: [], busy: 0 }
    for (let after = 0; !options.signal.aborted; ) {
      const batch = await readSealed(sql, after, batchSize)
      if (batch.length === 0) break
      for (const tokens of batch) await sealOne(sql, crypto, { tokens, execute: options.execute, seen })
      after = batch.at(-1)?.userId ?? after
      if (pass > 0) continue
      users += batch.length
      options.onProgress?.(users, null)
    }
    // Users whose tokens an earlier pass sealed count as current in this one.
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
