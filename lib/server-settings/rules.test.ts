import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { topicSettings } from '../kafka/topic-settings.ts'
import { topology } from '../topology.ts'
import { lifecycleOf } from './bucket.ts'
import type { ServerKind } from './rules.ts'
import { judgeSettings, settingRules } from './rules.ts'

const page = new URL('../../docs/operations/server-settings.md', import.meta.url)

test('the page lists the rules, line by line and no others', () => {
  const lines = readFileSync(page, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| server'))
  expect(lines).toEqual(
    settingRules.map(
      (rule) =>
        `| ${rule.server} | \`${rule.setting}\` | ${rule.safe} | ${rule.level} | ${rule.harm} | ${rule.remedy} |`,
    ),
  )
})

test('every setting that a topic is given has its line', () => {
  const listed = settingRules.filter((rule) => rule.server === 'Kafka topic').map((rule) => rule.setting)
  expect(listed).toEqual(expect.arrayContaining(Object.keys(topicSettings(topology('').metadata, 3))))
})

const unsafe = (server: ServerKind, setting: string, value: string) =>
  judgeSettings(server, 'here', new Map([[setting, value]])).map(({ rule }) => rule.level)

test.each<[ServerKind, string, string, string[]]>([
  ['Kafka broker', 'group.coordinator.rebalance.protocols', 'consumer', ['refuse']],
  ['Kafka broker', 'group.coordinator.rebalance.protocols', 'classic,consumer', []],
  ['Kafka broker', 'group.min.session.timeout.ms', '30000', ['refuse']],
  ['Kafka broker', 'offsets.retention.minutes', '1440', ['warn']],
  ['Kafka broker', 'a setting without a rule', 'x', []],
  ['Postgres', 'server_encoding', 'SQL_ASCII', ['refuse']],
  ['Postgres', 'server_encoding', 'UTF8', []],
  ['Postgres', 'DateStyle', 'German, DMY', ['refuse']],
  ['Postgres', 'DateStyle', 'ISO, MDY', []],
  ['Postgres', 'synchronous_commit', 'local', []],
  ['Postgres', 'synchronous_commit', 'off', ['warn']],
  ['Postgres', 'unlogged tables', 'plays', ['refuse']],
  ['Schema registry', 'mode', 'READONLY', ['refuse']],
  ['Bucket', 'versioning', 'enabled', ['warn']],
])('%s: %s = %s', (server, setting, value, levels) => {
  expect(unsafe(server, setting, value)).toEqual(levels)
})

describe('a lifecycle rule of a bucket', () => {
  const expiring = { ID: 'old', Status: 'Enabled' as const, Expiration: { Days: 90 } }

  test.each([
    ['of the whole bucket reaches the archive', {}, 'old'],
    ['of the prefix reaches it', { Filter: { Prefix: 'raw/' } }, 'old'],
    ['of a part of the prefix reaches it', { Filter: { Prefix: 'ra' } }, 'old'],
    ['of another prefix does not', { Filter: { Prefix: 'logs/' } }, 'none'],
    ['that is switched off does not', { Status: 'Disabled' as const }, 'none'],
  ])('%s', (_title, more, expected) => {
    expect(new Map(lifecycleOf([{ ...expiring, ...more }], 'raw')).get('lifecycle: expiration')).toBe(
      expected,
    )
  })

  test('that moves objects to a class that cannot be read at once is named', () => {
    const cooling = {
      ID: 'cold',
      Status: 'Enabled' as const,
      Transitions: [{ StorageClass: 'GLACIER' as const }],
    }
    expect(new Map(lifecycleOf([cooling], 'raw')).get('lifecycle: transition')).toBe('cold')
  })
})
