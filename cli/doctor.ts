import type { Command } from 'commander'
import { Option } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import { checks, examine } from '../operations/doctor/doctor.ts'
import type { CheckReport } from '../operations/doctor/report.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { toCheckLines, toVerdict } from './doctor/screen.ts'

interface Options {
  only?: string[]
  post?: boolean
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

async function doctor({ operator, out }: CliContext, { only, post = false }: Options): Promise<number> {
  const onCheck = (check: CheckReport) => {
    if (!out.json) out.print(toCheckLines(check, out).join('\n'))
  }
  const report = await examine(operator, { only, post }, { onCheck })
  if (out.json) out.printJson(report)
  else out.print(toVerdict(report.checks, out))
  return report.healthy ? exitCodes.stopped : exitCodes.fault
}
