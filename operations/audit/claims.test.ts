import { expect, test } from 'vitest'
import { digestOf } from '../../services/loader/item.ts'
import { idFor, item, pageRecord } from '../../test/support/pages.ts'
import { digestsOf } from './claims.ts'

const playedAt = Date.parse('2026-11-24T12:00:00.000Z')
const raw = item(playedAt, 'Early')
const play = { userId: '7', playedAt, trackId: idFor('Early') }
const digestsAt = (fetchedAt: number) => {
  const { value, ...record } = pageRecord([raw], { fetchedAt })
  return digestsOf({ ...record, decoded: { type: 'value', value, writer: null } }, play)
}

test('only a page whose own reading rejects a play is excused by the rejection', () => {
  expect(digestsAt(playedAt - 2 * 86_400_000)).toEqual([digestOf(raw, 'future_played_at')])
  expect(digestsAt(playedAt + 1_000)).toEqual([])
})
