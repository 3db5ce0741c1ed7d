import { request } from 'undici'
import type { Env } from '../../lib/config.ts'
import { parseEnv, s3Env, spotifyEnv } from '../../lib/config.ts'
import { toSpan } from '../../lib/words.ts'
import { describe } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { Check } from './check.ts'
import type { Finding } from './report.ts'

/** Another clock, read from here. */
export interface Reading {
  /** Unix ms. */
  theirs: number
  /** Our clock, before and after the request. */
  asked: number
  answered: number
  /** By how much `theirs` may be rounded down. */
  resolutionMs: number
}

const answerWithinMs = 5_000
const notableMs = 2_000
/** Access tokens are renewed two minutes before their end, so a clock may be wrong by half of that without harm. */
const harmfulMs = 60_000

export const clockCheck: Check = {
  name: 'clock',
  looksAt: "this machine's clock against those of Spotify, Postgres and the object store",
  withinMs: 12_000,
  hint: 'Is the network there?',
  async run(operator, notes) {
    const { env } = operator
    const findings = await Promise.all([
      judgeClock('Spotify', () => readDate(accountsAddress(env))),
      judgeClock('Postgres', () => readDatabaseClock(operator)),
      judgeClock('object store', () => readDate(storeAddress(env))),
    ])
    for (const finding of findings) notes.add(finding)
  },
}

async function judgeClock(subject: string, read: () => Promise<Reading | null>): Promise<Finding> {
  try {
    const reading = await read()
    if (reading) return { subject, ...judgeSkew(reading) }
    return { state: 'warn', subject, text: 'it does not tell the time', hint: 'Is that its address?' }
  } catch (error) {
    const text = `its clock cannot be read: ${describe(error)}`
    return { state: 'warn', subject, text, hint: 'See the check of it.' }
  }
}

/** Judges by how much two clocks differ at least. */
export function judgeSkew({ theirs, asked, answered, resolutionMs }: Reading): Omit<Finding, 'subject'> {
  const aheadMs = Math.max(0, theirs - answered)
  const behindMs = Math.max(0, asked - (theirs + resolutionMs))
  const apartMs = Math.max(aheadMs, behindMs)
  if (apartMs <= notableMs) return { state: 'ok', text: 'same time as here', hint: null }
  return {
    state: apartMs > harmfulMs ? 'fail' : 'warn',
    text: `its clock is ${toSpan(apartMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`,
    hint: 'Let both follow NTP (timedatectl set-ntp true). If all differ alike, it is this machine.',
  }
}

/** Any answer of an HTTP server carries its time in whole seconds; this request does not count in a budget. */
async function readDate(address: string): Promise<Reading | null> {
  const asked = Date.now()
  const { headers, body } = await request(address, {
    method: 'HEAD',
    signal: AbortSignal.timeout(answerWithinMs),
  })
  const answered = Date.now()
  await body.dump()
  const theirs = Date.parse(String(headers.date ?? ''))
  return Number.isNaN(theirs) ? null : { theirs, asked, answered, resolutionMs: 1_000 }
}

async function readDatabaseClock(operator: Operator): Promise<Reading | null> {
  const sql = await operator.postgres()
  const asked = Date.now()
  const { rows } = await sql.query<{ now: Date }>('select clock_timestamp() as now')
  const theirs = rows[0]?.now.getTime()
  return theirs === undefined ? null : { theirs, asked, answered: Date.now(), resolutionMs: 1 }
}

function accountsAddress(env: Env): string {
  const { SPOTIFY_ACCOUNTS_URL } = parseEnv({ SPOTIFY_ACCOUNTS_URL: spotifyEnv.SPOTIFY_ACCOUNTS_URL }, env)
  return `${SPOTIFY_ACCOUNTS_URL}/`
}

function storeAddress(env: Env): string {
  const { S3_ENDPOINT: endpoint, S3_REGION: region } = parseEnv(
    { S3_ENDPOINT: s3Env.S3_ENDPOINT, S3_REGION: s3Env.S3_REGION },
    env,
  )
  return `${endpoint ?? `https://s3.${region}.amazonaws.com`}/`
}
