import type { Command } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import { readStatus } from '../operations/status/status.ts'
import type { CliContext, Run } from './command.ts'
import { act, examples, notes } from './command.ts'
import { toScreen } from './status/screen.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'One screen: services, topics, groups and their lag, plays, users, gaps, dead letters, request budget. What does not answer within 5 seconds is named, the rest is shown.',
  )
  act(command, run, status)
  examples(command, ['songswap status', 'songswap status --json | jq .groups'])
  notes(command, help)
}

const help = [
  'Exits with 1 when something needs mending: a service is down, polling has stopped, a user was not polled for more than a day, a consumer group does not get on, alerts are not delivered, a topic is missing, a part cannot be read. Parked users, gaps, dead letters, other lag and pauses are shown and leave the exit code at 0.',
  'How a service is known to be alive: archiver, loader, enricher and alerter by the members of their consumer groups; the poller by its sessions in Postgres and what it did last. Where neither says anything, it is "unknown".',
  '--json: at, healthy, problems[], services[{name, state, detail}], topics[{topic, partitions[{partition, start, end}], records}] (partitions null: missing), groups[{group, state, members, lag, lagMs, verdict, partitions[]}], users{byStatus, parked[], consentsEnding[]}, plays{count, exact, newestPlayedAt}, gaps{open, users}, deadLetters{records, open}, budget{dailyRequests, left, windowEndsAt, pauses[]}, alerts{state, detail, since}, polling{verdict, unpolled[{userId, name, forMs, lastError}]}, unreadable[{part, error}]. What cannot be read is null.',
]

async function status({ operator, out }: CliContext): Promise<number> {
  const report = await readStatus(operator)
  if (out.json) out.printJson(report)
  else out.print(toScreen(report, out).join('\n'))
  return report.healthy ? exitCodes.stopped : exitCodes.fault
}
