import type { CliContext } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault } from '../fault.ts'
import { toPrintable } from '../table.ts'
import type { UserRow } from './user-store.ts'
import { changeStatus } from './user-store.ts'

/**
 * Sets a user's status and, with `--json`, prints it.
 *
 * @param user an id or a Spotify id
 * @throws CliFault when there is no such user
 */
export async function setStatus(
  context: CliContext,
  user: string,
  to: { status: UserRow['status']; reason: string | null },
): Promise<{ before: UserRow['status']; name: string }> {
  const change = await changeStatus(await openDatabase(context), user, to)
  if (!change) {
    throw new CliFault(`There is no user "${toPrintable(user)}"`, 'songswap users list shows them all.')
  }
  if (context.out.json) context.out.printJson({ ...change, status: to.status })
  const name = toPrintable(change.displayName ?? change.spotifyId)
  return { before: change.before, name: `${name} (user ${change.id})` }
}
