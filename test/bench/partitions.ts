import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { Client } from 'pg'
import { insertPlays, repairPlays } from '../../services/loader/history-store.ts'
import type { PlayRow } from '../../services/loader/transform.ts'
import type { Load } from './load.ts'
import type { Measurement } from './measure.ts'

const million = 1_000_000
const users = 10_000
const minutesBetweenPlays = 5
const firstPlayMs = Date.parse('2020-01-01T00:00:00Z')
const parts = 64
const coldPages = 2_000
const playsPerPage = 50

/**
 * The effect of partitioning `plays` by user, at GROWTH_MILLIONS rows in the order of time, as a loader writes them.
 * Measured are a vacuum that freezes every row (one worker a table, so two for the parts), a vacuum after every
 * hundredth user is erased, and a replay of random pages whose rows are in no cache. It empties the caches of the
 * operating system, which needs root.
 */
export async function measurePartitions({ stack }: Load): Promise<Measurement> {
  const count = Number(process.env.GROWTH_MILLIONS ?? '20') * million
  const details: Record<string, number> = {}
  const startedAt = performance.now()
  for (const shape of ['whole', 'parted'] as const) {
    const { DATABASE_URL } = await stack.freshDatabase()
    const clients = await Promise.all([connect(DATABASE_URL), connect(DATABASE_URL)])
    const [client] = clients
    try {
      if (shape === 'parted') await partition(client)
      await fill(client, count)
      const size = await client.query(
        `select sum(pg_total_relation_size(relid))::float8 as bytes
         from (select 'plays'::regclass as relid union select relid from pg_partition_tree('plays')) tables`,
      )
      details[`${shape}BytesPerPlay`] = Number(size.rows[0].bytes) / count
      details[`${shape}FreezeSeconds`] = await secondsOf(() => vacuum(clients, shape, 'freeze'))
      await client.query('delete from plays where user_id % 100 = 7')
      details[`${shape}VacuumSeconds`] = await secondsOf(() => vacuum(clients, shape, 'index_cleanup on'))
      await client.query('checkpoint')
      details[`${shape}ColdPagesPerSecond`] = coldPages / (await secondsOf(() => replay(client, count)))
    } finally {
      await Promise.all(clients.map((c) => c.end()))
      await stack.dropDatabase(DATABASE_URL)
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  return { pages: coldPages, seconds, cpuSeconds: 0, serverCpuSeconds: {}, peakRssMb: null, details }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(`set maintenance_work_mem = '256MB'`)
  return client
}

async function partition(client: Client): Promise<void> {
  await client.query(`
    create table plays_parted (like plays including all) partition by hash (user_id);
    drop table plays cascade;
    alter table plays_parted rename to plays;
    do $$ begin
      for part in 0..${parts - 1} loop
        execute format('create table plays_part_%s partition of plays for values with (modulus ${parts}, remainder %s)', part, part);
      end loop;
    end $$`)
}

/** Row n is play n / users of user n % users. */
async function fill(client: Client, count: number): Promise<void> {
  await client.query(
    `insert into plays (user_id, played_at, track_id, context_type, context_uri, source, page_partition, page_offset)
     select n % $2, to_timestamp($3::float8 / 1000) + (n / $2) * $4 * interval '1 minute',
       substr(md5((n % 100000)::text), 1, 22), 'playlist', 'spotify:playlist:37i9dQZF1DXcBWIGoYBM5M', 'poll', 0, n
     from generate_series(0, $1::bigint - 1) n`,
    [count, users, firstPlayMs, minutesBetweenPlays],
  )
  await client.query('analyze plays')
  await client.query('checkpoint')
}

async function vacuum(clients: readonly Client[], shape: 'whole' | 'parted', how: string): Promise<void> {
  const tables = shape === 'whole' ? ['plays'] : Array.from({ length: parts }, (_, i) => `plays_part_${i}`)
  const work = async (client: Client) => {
    for (let table = tables.pop(); table; table = tables.pop()) await client.query(`vacuum (${how}) ${table}`)
  }
  await Promise.all(clients.map(work))
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

/** Replays pages of old plays, all of them stored already. */
async function replay(client: Client, count: number): Promise<void> {
  execFileSync('sh', ['-c', 'sync; echo 3 > /proc/sys/vm/drop_caches'])
  const playsPerUser = count / users
  for (let page = 0; page < coldPages; page++) {
    const user = (page * 7_919) % users
    const first = (page * 104_729) % (playsPerUser - playsPerPage)
    const plays = Array.from({ length: playsPerPage }, (_, i) => toPlay(user, first + i))
    await client.query('begin')
    await repairPlays(client, plays)
    await insertPlays(client, plays)
    await client.query('rollback')
  }
}

function toPlay(user: number, index: number): PlayRow {
  const n = index * users + user
  return {
    userId: String(user),
    playedAt: firstPlayMs + index * minutesBetweenPlays * 60_000,
    trackId: createHash('md5')
      .update(String(n % 100_000))
      .digest('hex')
      .slice(0, 22),
    contextType: 'playlist',
    contextUri: 'spotify:playlist:37i9dQZF1DXcBWIGoYBM5M',
    source: 'poll',
    ...{ partition: 0, offset: n, timestamp: firstPlayMs, incarnation: 0 },
  }
}
