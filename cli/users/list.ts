import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toRelative, toUtc } from '../../lib/words.ts'
import { listUsers } from '../../operations/users/list.ts'
import type { UserRow } from '../../operations/users/report.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples } from '../command.ts'
import { toPrintable, toTable } from '../terminal/table.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Lists all users: status, days left of the consent, when polling last worked, when it is next due, and the newest play stored. Reasons of parked users stand below the table.',
  )
  act(command, run, list)
  examples(command, ['songswap users list', 'songswap users list --json'])
}

async function list({ operator, out }: CliContext): Promise<number> {
  const users = await listUsers(operator)
  if (out.json) out.printJson(users)
  else if (users.length === 0) out.say('There are no users yet: songswap users connect')
  else out.print(toUserLines(users, { now: new Date(), width: out.width }).join('\n'))
  return exitCodes.stopped
}

/** A table of users and, below it, why some are parked. */
export function toUserLines(
  users: readonly UserRow[],
  { now, width }: { now: Date; width: number },
): string[] {
  const table = toTable(
    [
      { title: 'ID', align: 'right' },
      { title: 'NAME', shrinks: true },
      { title: 'SPOTIFY ID', shrinks: true },
      { title: 'STATUS' },
      { title: 'CONSENT', align: 'right' },
      { title: 'LAST OK', align: 'right' },
      { title: 'NEXT', align: 'right' },
      { title: 'NEWEST', align: 'right' },
    ],
    users.map((u) => [
      String(u.id),
      u.displayName ?? '-',
      u.spotifyId,
      u.status,
      u.consentDaysLeft === null ? '?' : `${u.consentDaysLeft}d`,
      toRelative(u.lastOkAt, now),
      toDue(u, now),
      toRelative(u.newestPlayedAt, now),
    ]),
    width,
  )
  const parked = users.filter((u) => u.status !== 'active').map(toReason)
  return parked.length > 0 ? [...table, '', ...parked] : table
}

/** A line on why a user is parked. */
export function toReason(user: Pick<UserRow, 'id' | 'status' | 'statusReason' | 'statusChangedAt'>): string {
  const reason = user.statusReason ? toPrintable(user.statusReason) : 'no reason given'
  return `user ${user.id}: ${user.status} since ${toUtc(user.statusChangedAt)}: ${reason}`
}

function toDue(user: UserRow, now: Date): string {
  if (user.status === 'paused' || user.nextPollAt === null) return '-'
  return user.nextPollAt <= now ? 'now' : toRelative(user.nextPollAt, now)
}
