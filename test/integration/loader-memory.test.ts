import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import { historyHandler } from '../../services/loader/history.ts'
import { Memory } from '../../services/loader/memory.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { item, pageRecord } from '../support/pages.ts'
import { until } from '../support/until.ts'

const noon = Date.parse('2026-11-24T12:00:00.000Z')
const at = (minutes: number) => noon + minutes * 60_000
const neverAborted = new AbortController().signal

let stream: Stream
let postgres: Postgres

beforeAll(async () => {
  stream = await createStream()
  postgres = open()
})
afterAll(async () => {
  await postgres.close()
  await stream.release()
})
beforeEach(async () => {
  await postgres.query(
    'delete from plays; delete from shown_windows; delete from tracks; delete from erased_users',
  )
})

function open(change: (url: URL) => void = () => undefined, onLost?: () => void): Postgres {
  const url = new URL(stream.env.DATABASE_URL ?? '')
  change(url)
  const options = { url: new Secret(url.href), connections: 2, name: 'test', log: stream.log }
  return openPostgres({ ...options, ...(onLost && { onLost }) })
}

function openLoader(on: Postgres = postgres, memory = new Memory()) {
  onTestFinished(() => memory.close())
  const handle = historyHandler({ postgres: on, memory, onCommitted: () => undefined, log: stream.log })
  return { memory, history: (...records: ReturnType<typeof page>[]) => handle(records)(neverAborted) }
}

/** A page of ten plays; the next page repeats nine of them. */
const page = (n: number, user = 7) =>
  pageRecord(
    Array.from({ length: 10 }, (_, i) => item(at(n - i), `T${n - i}`)),
    { user, fetchedAt: at(n + 1), offset: n },
  )

const plays = async (user = 7) =>
  (await postgres.query<{ n: number }>('select count(*)::int as n from plays where user_id = $1', [user]))
    .rows[0]?.n

describe('plays that vanish are stored again although the next page only repeats them', () => {
  test('but for a while after the last full reading they are taken for stored', async () => {
    const loader = openLoader()
    await loader.history(page(0))
    await postgres.query('delete from plays')
    await loader.history(page(1))
    expect(await plays()).toBe(1)
  })

  test('when the server is another one: a standby that took over has another timeline', async () => {
    // The search path finds these before the built-in functions of the same names.
    await postgres.query(`
      create table timelines (id text);
      insert into timelines values ('00000001');
      create function public.pg_walfile_name(pg_lsn) returns text language sql as
        $$ select id || '0000000000000000' from public.timelines $$`)
    const own = open((url) => url.searchParams.set('options', '-c search_path=public,pg_catalog'))
    onTestFinished(async () => {
      await own.close()
      await postgres.query('drop function public.pg_walfile_name; drop table timelines')
    })
    const loader = openLoader(own)
    await loader.history(page(0))
    await postgres.query(`delete from plays; update timelines set id = '00000002'`)
    await loader.history(page(1))
    expect(await plays()).toBe(10)
    await loader.history(page(2))
    expect(await plays()).toBe(11)
  })

  test('when a transaction has failed', async () => {
    const loader = openLoader()
    await loader.history(page(0))
    await postgres.query('delete from plays; alter table plays add constraint no_more check (user_id <> 8)')
    await expect(loader.history(page(0, 8))).rejects.toThrow('no_more')
    await postgres.query('alter table plays drop constraint no_more')
    await loader.history(page(1))
    expect(await plays()).toBe(10)
  })

  test('when a connection is lost, though nobody was using it', async () => {
    const memory = new Memory()
    let lost = 0
    const own = open(
      (url) => url.searchParams.set('application_name', 'to-be-lost'),
      () => {
        lost++
        memory.drop()
      },
    )
    onTestFinished(() => own.close())
    const loader = openLoader(own, memory)
    await loader.history(page(0))
    await postgres.query('delete from plays')
    await postgres.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and query like '%commit%'`,
    )
    await until(() => lost > 0, 'the connection is lost')
    await loader.history(page(1))
    expect(await plays()).toBe(10)
  })
})

test('a login that may not ask which server it is at loads all the same', async () => {
  // Roles belong to the whole server, which other tests share.
  const role = `least_${crypto.randomUUID().slice(0, 8)}`
  await postgres.query(`
    revoke execute on function pg_control_system() from public;
    create role ${role} login password 'x';
    grant select, insert, update, delete on all tables in schema public to ${role};
    grant usage on all sequences in schema public to ${role}`)
  const own = open((url) => {
    url.username = role
    url.password = 'x'
  })
  onTestFinished(async () => {
    await own.close()
    await postgres.query(
      `drop owned by ${role}; drop role ${role}; grant execute on function pg_control_system() to public`,
    )
  })
  const loader = openLoader(own)
  for (const n of [0, 1, 2]) await loader.history(page(n))
  expect(await plays()).toBe(12)
})

test('an erased user is forgotten with the next batch, whose ever it is', async () => {
  const loader = openLoader()
  const remembered = () => {
    const read = loader.memory.open().reader.read(page(1))
    return read.type === 'page' ? read.stored : -1
  }
  await loader.history(page(0))
  expect(remembered()).toBe(9)
  await postgres.query('insert into erased_users (user_id) values (7)')
  await loader.history(page(0, 8))
  expect(remembered()).toBe(0)
  await loader.history(page(1))
  expect(remembered()).toBe(0)
  expect(await plays()).toBe(10)
})
