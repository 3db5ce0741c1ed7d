import { parseArgs } from 'node:util'
import { Simulation } from './poller.ts'
import { currentRules } from './rules.ts'
import { causes, lostOf } from './tally.ts'
import { usualWorld } from './world.ts'

const help = `Simulates listeners, Spotify's faults and the poller's own rules; prints plays lost by cause, alarms, and
requests. Without --users: a table for 1, 5, 20, 50 and 100 users.

npm run simulate -- --users 5 --days 365 [--requests 600] [--seed 1]`

const { values } = parseArgs({
  options: {
    users: { type: 'string' },
    days: { type: 'string', default: '365' },
    requests: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean' },
  },
})
if (values.help) console.log(help)
else print(values.users === undefined ? [1, 5, 20, 50, 100] : [Number(values.users)])

function print(sizes: readonly number[]): void {
  const days = Number(values.days)
  const quota = Number(values.requests)
  const seed = Number(values.seed)
  if (![days, quota, ...sizes].every((n) => Number.isInteger(n) && n > 0) || !Number.isInteger(seed)) {
    console.error(help)
    process.exitCode = 2
    return
  }
  const tallies = sizes.map((users) => ({
    users,
    tally: new Simulation({ ...usualWorld, users, days, quota, seed }, currentRules).run(),
  }))
  console.log(`${days} days, ${quota} requests a day, seed ${seed}`)
  console.log('Plays lost, by cause:')
  console.table(
    tallies.map(({ users, tally }) => ({
      users,
      plays: tally.plays,
      ...Object.fromEntries(causes.map((cause) => [cause, tally.lost[cause]])),
      lost: `${((100 * lostOf(tally)) / tally.plays).toFixed(2)} %`,
      'hours parked wrongly': Math.round(tally.wronglyParkedHours),
    })),
  )
  console.log('Alarms, true + false:')
  console.table(
    tallies.map(({ users, tally }) => ({
      users,
      ...Object.fromEntries(
        Object.entries(tally.alarms).map(([type, n]) => [type, `${n.true} + ${n.false}`]),
      ),
    })),
  )
  console.log('Requests:')
  console.table(tallies.map(({ users, tally }) => ({ users, ...tally.requests })))
}
