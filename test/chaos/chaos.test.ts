import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { checkRun } from './check.ts'
import type { Fault } from './faults.ts'
import { faults } from './faults.ts'
import type { Load, Run } from './run.ts'
import { startRun } from './run.ts'
import type { Round } from './schedule.ts'
import { each, pairs } from './schedule.ts'

/** CHAOS_SEED repeats a run. CHAOS_MINUTES makes a long run, with rounds of pairs until the time is over. */
const seed = Number(process.env.CHAOS_SEED ?? 20261124)
const minutes = Number(process.env.CHAOS_MINUTES ?? 0)
/** Pattern of the names of the faults to run. */
const only = new RegExp(process.env.CHAOS_FAULTS ?? '')
const rounds = Number(process.env.CHAOS_ROUNDS ?? 8)
const load: Load = {
  listeners: Number(process.env.CHAOS_LISTENERS ?? 24),
  playsPerSecond: Number(process.env.CHAOS_PLAYS_PER_SECOND ?? 6),
  pollSeconds: [Number(process.env.CHAOS_POLL_SECONDS ?? 1), Number(process.env.CHAOS_POLL_SECONDS ?? 1) * 3],
}

const chosen = faults.filter((f) => only.test(f.name))
const logDir = join(tmpdir(), 'songswap-chaos')

let run: Run | null = null
afterEach(async () => {
  await run?.close()
  run = null
})

describe('under faults the stream loses nothing and stores nothing twice', () => {
  test(
    'each fault alone',
    async () => {
      await sufferAll('alone', each(chosen, seed))
    },
    40 * 60_000,
  )

  test(
    'two faults at once',
    async () => {
      await sufferAll('pairs', pairs(chosen, seed, rounds))
    },
    40 * 60_000,
  )

  if (minutes > 0) {
    test(
      'pairs of faults for a long time',
      async () => {
        const until = Date.now() + minutes * 60_000
        await sufferAll('long', pairs(chosen, seed, 10_000), () => Date.now() < until)
      },
      (minutes + 30) * 60_000,
    )
  }
})

async function sufferAll(name: string, plan: Round<Fault>[], goOn = () => true): Promise<void> {
  const began = Date.now()
  const say = (text: string) =>
    console.log(`[${name} ${seed} ${Math.round((Date.now() - began) / 1000)} s] ${text}`)
  mkdirSync(join(logDir, name), { recursive: true })
  say(
    `${plan.length} rounds, ${load.listeners} listeners; CHAOS_SEED=${seed} repeats this run; logs in ${join(logDir, name)}`,
  )
  run = await startRun({ seed, load, logDir: join(logDir, name) })
  let injected = 0
  for (const round of plan) {
    if (!goOn()) break
    say(round.map((f) => f.name).join(' + '))
    await run.suffer(round)
    injected += round.length
  }
  await run.drain()
  const verdict = await checkRun(run)
  say(
    `${injected} faults, ${verdict.pages} pages, ${verdict.plays} plays, ${verdict.deadLetters} dead letters`,
  )
  expect(Object.entries(verdict.faults).filter(([, found]) => found.length > 0)).toEqual([])
  expect(await run.replay()).toEqual([])
  await run.fleet.stop()
}
