import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { StackFault } from './stack-fault.ts'

/**
 * Postgres refuses to run as root. If this process is root, Postgres runs as the owner of existing data, else as
 * `postgres`, else as `nobody`. Any other user runs it under their own account.
 */
export interface Account {
  uid: number
  gid: number
}

export function postgresAccount(clusterDir: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = statSync(clusterDir, { throwIfNoEntry: false })
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new StackFault(
    'Postgres cannot run as root, and there is no user `postgres` or `nobody` to run it as.',
  )
}

/** How to run a program as an account: the command before it, and options of spawn. */
export interface Switch {
  prefix: string[]
  spawnAs: Partial<Account>
}

/**
 * The other account must reach the data and the binaries, below folders that may be open to root alone (/root, a
 * folder of mktemp). Their permissions stay as they are: on Linux the process keeps the one capability that reads
 * past them. `setpriv` is part of util-linux.
 *
 * @throws StackFault if a folder is closed and root lacks such a capability.
 */
export function switchTo(account: Account | undefined, paths: string[]): Switch {
  if (!account) return { prefix: [], spawnAs: {} }
  const closed = paths.flatMap(ancestors).find((folder) => !mayEnter(account, folder))
  if (closed === undefined) return { prefix: [], spawnAs: account }
  const capability = availableCapability()
  if (!capability) {
    throw new StackFault(
      `Postgres cannot run as root, and its user may not enter ${closed}: run as another user, or clone elsewhere.`,
    )
  }
  const { uid, gid } = account
  return {
    prefix: [
      'setpriv',
      ...[`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
      ...[`--inh-caps=+${capability}`, `--ambient-caps=+${capability}`],
      // Without it access(2) ignores capabilities; Postgres checks its own binary with access(2).
      '--securebits=+no_setuid_fixup',
    ],
    spawnAs: {},
  }
}

function ancestors(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [...ancestors(parent), parent]
}

function mayEnter({ uid, gid }: Account, folder: string): boolean {
  const stat = statSync(folder, { throwIfNoEntry: false })
  if (!stat) return true
  if (stat.uid === uid) return (stat.mode & 0o100) !== 0
  if (stat.gid === gid) return (stat.mode & 0o010) !== 0
  return (stat.mode & 0o001) !== 0
}

/** Numbers from linux/capability.h. Containers often lack the first one. */
function availableCapability(): string | undefined {
  const capabilities: [string, number][] = [
    ['dac_read_search', 2],
    ['dac_override', 1],
  ]
  try {
    const permitted = BigInt(`0x${/^CapPrm:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`)
    return capabilities.find(([, bit]) => (permitted >> BigInt(bit)) & 1n)?.[0]
  } catch {
    return undefined
  }
}
