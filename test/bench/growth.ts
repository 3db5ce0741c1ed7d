import { Client } from 'pg'
import { measureFloor } from './floor.ts'
import type { Load } from './load.ts'
import { measureLoaders } from './loader.ts'
import type { Measurement } from './measure.ts'

const playsPerUser = 5_000
/** Other users than those of the pages. */
const firstUser = 1_000_000
const million = 1_000_000

/**
 * The loader with millions of plays of other users in the table, for each number in GROWTH_MILLIONS. It returns the
 * last measurement; the details have the rates of all, also as a share of `parse` right before and after, because
 * the machine's speed may change while the table is filled. 50 million plays need 12 GB of disk.
 */
export async function measureGrowth(load: Load): Promise<Measurement> {
  const sizes = (process.env.GROWTH_MILLIONS ?? '1,10,50').split(',').map(Number)
  const rates: Record<string, number> = {}
  let last: Measurement | null = null
  for (const millions of sizes) {
    const parses: Measurement[] = []
    last = await measureLoaders(load, 1, async (url) => {
      rates.bytesPerPlay = await fillPlays(url, millions * million)
      parses.push(await measureFloor(load, 'parse'))
    })
    parses.push(await measureFloor(load, 'parse'))
    const rate = last.pages / last.seconds
    const floor = parses.reduce((sum, { pages, seconds }) => sum + pages / seconds, 0) / parses.length
    rates[`pagesPerSecondAt${millions}M`] = rate
    rates[`percentOfParseAt${millions}M`] = (100 * rate) / floor
  }
  if (!last) throw new Error('GROWTH_MILLIONS names no size')
  return { ...last, details: { ...last.details, ...rates } }
}

/**
 * Fills in the rows before it builds the index, which is faster and gives the same table.
 *
 * @returns bytes of table and index for each row
 */
async function fillPlays(databaseUrl: string, count: number): Promise<number> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(`set maintenance_work_mem = '1GB'`)
    await client.query('alter table plays drop constraint plays_pkey')
    await client.query(
      `insert into plays (user_id, played_at, track_id, context_type, context_uri, source, page_partition, page_offset)
       select $2 + n / $3, timestamptz '2020-01-01' + (n % $3) * interval '5 minutes',
         substr(md5((n % 100000)::text), 1, 22), 'playlist', 'spotify:playlist:37i9dQZF1DXcBWIGoYBM5M', 'poll',
         n % 12, n
       from generate_series(0, $1::bigint - 1) n`,
      [count, firstUser, playsPerUser],
    )
    await client.query('alter table plays add primary key (user_id, played_at, track_id)')
    await client.query('vacuum analyze plays')
    await client.query('checkpoint')
    const { rows } = await client.query(`select pg_total_relation_size('plays')::float8 as bytes`)
    return Number(rows[0]?.bytes) / count
  } finally {
    await client.end()
  }
}
