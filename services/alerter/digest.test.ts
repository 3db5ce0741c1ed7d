import { expect, test } from 'vitest'
import type { Digest } from './digest.ts'
import { addReport, mergeDigests, toDigestAlert } from './digest.ts'
import type { Report } from './report.ts'

const report = (family: string, at: number, more: Partial<Report> = {}): Report => ({
  kind: family,
  family,
  familyTitle: family,
  state: 'raised',
  isDigestOnly: false,
  severity: 'warning',
  title: family,
  text: '',
  fields: [],
  example: `${family} at ${at}`,
  source: 'test',
  at,
  partition: 'ops.events/0',
  offset: at,
  ...more,
})

const digestOf = (reports: Report[]) => reports.reduce(addReport, new Map() as Digest)

test('counts everything and keeps a few examples', () => {
  const alert = toDigestAlert(digestOf(Array.from({ length: 100_000 }, (_, i) => report('a', i))), 0)
  expect(alert).toMatchObject({
    title: 'Digest: 100000 more reports',
    fields: [{ name: '100000 × a', value: 'a at 0\na at 1\na at 2\na at 3\na at 4' }],
  })
})

test('puts the worst first and takes its severity', () => {
  const reports = [
    report('b', 1),
    report('b', 2),
    report('c', 3, { severity: 'critical' }),
    report('i', 4, { severity: 'info' }),
  ]
  const alert = toDigestAlert(digestOf(reports), 0)
  expect(alert?.severity).toBe('critical')
  expect(alert?.fields.map((f) => f.name)).toEqual(['1 × c', '2 × b', '1 × i'])
})

test('keeps recoveries apart', () => {
  const alert = toDigestAlert(digestOf([report('a', 1), report('a', 2, { state: 'resolved' })]), 0)
  expect(alert?.fields.map((f) => f.name)).toEqual(['1 × a', '1 × a (resolved)'])
  expect(toDigestAlert(digestOf([report('a', 2, { state: 'resolved' })]), 0)?.severity).toBe('resolved')
})

test('merges to the same as if it had been one', () => {
  const reports = Array.from({ length: 60 }, (_, i) => report(`f${i % 7}`, i))
  const whole = digestOf(reports)
  expect(mergeDigests([digestOf(reports.slice(0, 20)), digestOf(reports.slice(20))])).toEqual(whole)
})

test('stays small with any number of families, and still counts all', () => {
  const digest = digestOf(Array.from({ length: 5_000 }, (_, i) => report(`f${i}`, i)))
  expect(digest.size).toBeLessThanOrEqual(201)
  expect(toDigestAlert(digest, 0)?.title).toBe('Digest: 5000 more reports')
})

test('is nothing when there is nothing to tell', () => {
  expect(toDigestAlert(new Map(), 0)).toBeNull()
})
