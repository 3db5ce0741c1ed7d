import type { CliContext } from '../../cli/command.ts'
import { toPrintable } from '../../cli/terminal/table.ts'
import { OperatorFault } from '../fault.ts'
import type { UserRow } from './user-store.ts'
import { changeStatus } from './user-store.ts'

/**
 * Sets a user's status and, with `--json`, prints it.
 *
 * @param user an id or a Spotify id
 * @throws OperatorFault when there is no such user
 */
export async function setStatus(
  context: CliContext,
  user: string,
  to: { status: UserRow['status']; reason: string | null },
): Promise<{ before: UserRow['status']; name: string }> {
  const change = await changeStatus(await context.operator.postgres(), user, to)
  if (!change) {
    throw new OperatorFault(`There is no user "${toPrintable(user)}"`, 'songswap users list shows them all.')
  }
  if (context.out.json) context.out.printJson({ ...change, status: to.status })
  const name = toPrintable(change.displayName ?? change.spotifyId)
  return { before: change.before, name: `${name} (user ${change.id})` }
}
