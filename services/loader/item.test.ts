import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { item, localFile, track } from '../../test/support/pages.ts'
import { digestOf, toItem } from './item.ts'

const fetchedAt = Date.parse('2026-11-24T12:00:00.000Z')
const playedAt = fetchedAt - 60_000
const good = item(playedAt, 'Blackbird')

describe('an item', () => {
  test('is a play under its track id and its time to the millisecond', () => {
    const time = '2026-02-25T20:15:20.497Z'
    expect(toItem({ ...good, played_at: time }, fetchedAt)).toMatchObject({
      type: 'play',
      playedAt: Date.parse(time),
      track: { id: 'Blackbirdzzzzzzzzzzzzz' },
    })
  })

  test('of a local file is a play under its uri', () => {
    const result = toItem({ ...good, track: localFile('Demo') }, fetchedAt)
    expect(result).toMatchObject({ type: 'play', track: { id: 'spotify:local:Home:Tapes:Demo:12' } })
  })

  test.each([
    ['null_track', { ...good, track: null }],
    ['null_track', { track: null }],
    ['not_a_track', { ...good, track: track('Talk', { type: 'episode' }) }],
  ])('is dropped by the name %s', (reason, raw) => {
    expect(toItem(raw, fetchedAt)).toMatchObject({ type: 'drop', reason })
  })

  test.each([
    ['invalid_item', null],
    ['invalid_item', 'text'],
    ['invalid_item', []],
    ['missing_track', { played_at: good.played_at }],
    ['missing_track', { ...good, track: 'Blackbird' }],
    ['missing_track_id', { ...good, track: { name: 'Nameless' } }],
    ['missing_track_id', { ...good, track: { id: '', uri: '' } }],
    ['missing_played_at', { track: track('Blackbird') }],
    ['missing_played_at', { ...good, played_at: null }],
    ['invalid_played_at', { ...good, played_at: 1_700_000_000 }],
    ['invalid_played_at', { ...good, played_at: 'yesterday' }],
    ['invalid_played_at', { ...good, played_at: '2026-02-30T10:00:00.000Z' }],
    ['invalid_played_at', { ...good, played_at: '2025-02-29T10:00:00.000Z' }],
    ['invalid_played_at', { ...good, played_at: '2026-01-01T25:00:00.000Z' }],
    ['invalid_played_at', { ...good, played_at: '1969-12-31T23:59:59.999Z' }],
    ['invalid_played_at', { ...good, played_at: '0000-01-01T00:00:00.000Z' }],
    ['future_played_at', { ...good, played_at: '2026-11-25T12:00:00.001Z' }],
    ['future_played_at', { ...good, played_at: '9999-12-31T23:59:59.999Z' }],
  ])('is rejected by the name %s', (reason, raw) => {
    expect(toItem(raw, fetchedAt)).toMatchObject({ type: 'rejected', reason })
  })

  test.each([
    ['2026-11-25T12:00:00.000Z', 'a clock that is a day ahead'],
    ['1970-01-01T00:00:00.000Z', 'a clock that was never set'],
    ['2024-02-29T10:00:00Z', 'no milliseconds'],
    ['2026-11-24T13:00:00.5+02:00', 'an offset'],
  ])('played at %s (%s) is a play', (time) => {
    expect(toItem({ ...good, played_at: time }, fetchedAt)).toMatchObject({
      type: 'play',
      playedAt: Date.parse(time),
    })
  })

  test('never throws, whatever JSON it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (raw) => {
        expect(['play', 'drop', 'rejected']).toContain(toItem(raw, fetchedAt).type)
      }),
    )
  })
})

describe('the digest of a rejected item', () => {
  const bad = { track: track('Blackbird', { popularity: 3 }), context: null }

  test('stays when popularity or markets change', () => {
    const later = { track: track('Blackbird', { popularity: 4, available_markets: ['DE'] }), context: null }
    expect(digestOf(later, 'missing_played_at')).toBe(digestOf(bad, 'missing_played_at'))
  })

  test('differs between tracks and between reasons', () => {
    const other = { track: track('Yesterday'), context: null }
    expect(digestOf(other, 'missing_played_at')).not.toBe(digestOf(bad, 'missing_played_at'))
    expect(digestOf(bad, 'invalid_played_at')).not.toBe(digestOf(bad, 'missing_played_at'))
  })
})
