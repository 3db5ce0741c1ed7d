import fc from 'fast-check'
import { expect, test } from 'vitest'
import { topology } from '../topology.ts'
import type { TopicDescription } from './cluster-admin.ts'
import { topicSettings, wantedSettings } from './topic-settings.ts'

const topic = topology('').recentlyPlayed

function found(replicas: number, settings: Record<string, string>): TopicDescription {
  const partitions = [{ partition: 0, leader: 1, replicas, inSync: replicas }]
  return {
    topic: topic.name,
    partitions,
    settings: new Map(Object.entries({ ...topicSettings(topic, replicas), ...settings })),
  }
}
const minInSync = (replicas: number, current: number) =>
  wantedSettings(topic, found(replicas, { 'min.insync.replicas': String(current) })).get(
    'min.insync.replicas',
  )

test('min.insync.replicas follows the replicas that the topic has, and never stops publishing', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (replicas, current) => {
      const after = Number(minInSync(replicas, current) ?? current)
      expect(after).toBeLessThanOrEqual(replicas)
      expect(after).toBeGreaterThanOrEqual(Math.max(1, replicas - 1))
      // An operator's stricter choice stays.
      if (current <= replicas) expect(after).toBeGreaterThanOrEqual(current)
    }),
  )
})

test('a longer retention stays, a shorter one is put right', () => {
  const change = (ms: string) => wantedSettings(topic, found(1, { 'retention.ms': ms })).get('retention.ms')
  expect(change('-1')).toBeUndefined()
  expect(change(String(60 * 86_400_000))).toBeUndefined()
  expect(change('1000')).toBe(String(30 * 86_400_000))
})

test('a setting that the broker does not list is not set', () => {
  const older = found(1, {})
  expect(wantedSettings(topic, older).has('message.timestamp.before.max.ms')).toBe(false)
  older.settings.set('message.timestamp.before.max.ms', '1000')
  expect(wantedSettings(topic, older).get('message.timestamp.before.max.ms')).toBe('9223372036854775807')
})

test('a dead letter fits where its record did', () => {
  const { deadLetters, ...others } = topology('')
  const headersOfOurs = 64 << 10
  for (const other of [others.recentlyPlayed, others.metadataWanted, others.metadata, others.events])
    expect(other.maxMessageBytes + headersOfOurs).toBeLessThan(deadLetters.maxMessageBytes)
})
