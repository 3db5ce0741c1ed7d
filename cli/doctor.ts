import type { Command } from 'commander'
import { Option } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import type { Postgres } from '../lib/postgres.ts'
import { brokerCheck } from '../operations/doctor/broker.ts'
import type { Check, CheckReport, DoctorContext } from '../operations/doctor/check.ts'
import { runCheck, worst } from '../operations/doctor/check.ts'
import { clockCheck } from '../operations/doctor/clock.ts'
import { configurationCheck } from '../operations/doctor/configuration.ts'
import { discordCheck } from '../operations/doctor/discord.ts'
import { diskCheck } from '../operations/doctor/disk.ts'
import { lagCheck } from '../operations/doctor/lag.ts'
import { postgresCheck } from '../operations/doctor/postgres.ts'
import { registryCheck } from '../operations/doctor/registry.ts'
import { s3Check } from '../operations/doctor/s3.ts'
import { spotifyCheck } from '../operations/doctor/spotify.ts'
import { usersCheck } from '../operations/doctor/users.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { toCheckLines, toVerdict } from './doctor/screen.ts'

/** In the order in which an operator would look. */
const checks: readonly Check[] = [
  configurationCheck,
  brokerCheck,
  lagCheck,
  registryCheck,
  postgresCheck,
  s3Check,
  spotifyCheck,
  usersCheck,
  discordCheck,
  clockCheck,
  diskCheck,
]

interface Options {
  only?: string[]
  post?: true
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Checks everything from the outside: configuration, broker, lag, registry, Postgres, S3, Spotify, users, Discord, clocks, disk. Each line says ok, warn or fail, why, and what to do. Checks run side by side, each with a time of its own; none stops another.',
    )
    .addOption(
      new Option('--only <name...>', 'these checks alone').choices(checks.map((check) => check.name)),
    )
    .option('--post', 'post a test message to Discord')
  act<Options>(command, run, doctor)
  examples(command, [
    'songswap doctor',
    'songswap doctor --only broker registry',
    'songswap doctor --only discord --post',
    'songswap doctor --json | jq \'.checks[].findings[] | select(.state != "ok")\'',
  ])
  notes(command, help)
}

const help = [
  'Exits with 0 when nothing fails (warnings are allowed), else with 1.',
  'It costs at most two requests to Spotify, an app token and a pair of artists, and counts them in the shared budget. What Spotify answers is remembered for the services: the mode of the app, and pauses. While a rate limit or a quota is in force it asks nothing.',
  'It writes one object below S3_PREFIX/.doctor/ and deletes it; it registers no schema and moves no offset.',
  '--json: at, healthy, checks[{name, state, ms, findings[{state, subject, text, hint}], detail}].',
]

async function doctor(context: CliContext, options: Options): Promise<number> {
  const { out } = context
  let database: Promise<Postgres> | null = null
  const shared: DoctorContext = {
    ...context,
    post: options.post ?? false,
    database: () => {
      database ??= context.operator.postgres()
      return database
    },
  }
  const chosen = checks.filter(({ name }) => options.only?.includes(name) ?? true)
  const running = chosen.map((check) => runCheck(check, shared))
  const reports: CheckReport[] = []
  for (const report of running) {
    reports.push(await report)
    if (!out.json) out.print(toCheckLines(await report, out).join('\n'))
  }
  const healthy = worst(reports.map((report) => report.state)) !== 'fail'
  if (out.json) out.printJson({ at: new Date(), healthy, checks: reports.map(toDocument) })
  else out.print(toVerdict(reports, out))
  return healthy ? exitCodes.stopped : exitCodes.fault
}

function toDocument({ attachment, ...report }: CheckReport) {
  return { ...report, detail: attachment?.data ?? null }
}
