import type { TestContext } from 'vitest'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { reports } from '../../operations/reports.ts'
import { toJsonSchema } from '../../operations/reports-page.ts'
import type { GoldenWorld } from '../support/golden-world.ts'
import { createGoldenWorld } from '../support/golden-world.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let world: GoldenWorld
afterAll(() => world?.release())

/** Checks of the doctor that do not depend on the servers and the machine. */
const steadyChecks = 'configuration lag s3 spotify users discord'

interface Line {
  /** Arguments of `songswap`. Each is run twice, the second time with `--json`, but for `once`. */
  command: string
  /** Name of the golden file. */
  name?: string
  input?: string
  /** Run in this form only, e.g. because it changes something. */
  once?: true
}

/** Run at the same time, as they change nothing. */
const readers: readonly Line[] = [
  { command: 'users list' },
  { command: 'lag --for 1' },
  { command: 'lag loader.history --for 0', name: 'lag-group' },
  { command: 'offsets show' },
  { command: 'offsets show loader.metadata', name: 'offsets-show-group' },
  { command: 'offsets export loader.history' },
  { command: 'offsets reset loader.history --all-topics --to-earliest' },
  { command: 'offsets reset loader.history --topic spotify.recently-played --shift-by -1 --export' },
  { command: 'offsets import alerter -', input: 'ops.events,0,1\n' },
  { command: 'dead-letters list' },
  { command: 'dead-letters list --each --state all' },
  { command: 'dead-letters show 0/1' },
  { command: 'dead-letters redrive --reason handler_error' },
  { command: 'dead-letters discard --reason invalid_page' },
  { command: 'dead-letters bury spotify.recently-played/3/2' },
  { command: 'gaps list --all' },
  { command: 'gaps show 1' },
  { command: 'gaps show 3' },
  { command: 'events' },
  { command: 'events --type user_needs_reauth' },
  { command: 'audit' },
  { command: 'audit --no-archive' },
  { command: 'replay loader.history' },
  { command: 'replay archiver' },
  { command: 'restore' },
  { command: 'restore --topic spotify.recently-played --to-topic' },
  { command: 'account export 1' },
  { command: 'account erase 2' },
  { command: 'account index' },
  { command: 'account rotate-keys' },
  { command: 'users pause nobody' },
  { command: 'lag nobody' },
]

/** Run one after the other: most change the next one's output, and each part of the status has five seconds. */
const sequence: readonly Line[] = [
  { command: 'status' },
  { command: `doctor --only ${steadyChecks}`, name: 'doctor', once: true },
  { command: `doctor --only ${steadyChecks} --json`, name: 'doctor-json', once: true },
  { command: 'users add', name: 'users-add-refused', input: 'a token' },
  { command: 'users add --authorized-at 2026-09-01', input: 'token of listener 4', name: 'users-add' },
  { command: 'users pause 1 --reason holiday' },
  { command: 'users resume 1' },
  { command: 'offsets reset enricher --all-topics --to-latest --execute', once: true },
  { command: 'dead-letters discard --reason invalid_page --note test --execute' },
  { command: 'dead-letters redrive --reason handler_error --execute' },
  { command: 'replay loader.history --execute' },
  { command: 'restore --execute' },
  { command: 'account rotate-keys --execute' },
  { command: 'account index --execute' },
  { command: 'account erase 2 --execute --json', once: true },
  { command: 'account erase 3 --execute', once: true },
]

test('a world that the loader and the archiver have dealt with', async () => {
  world = await createGoldenWorld()
}, 120_000)

describe('the screen and the JSON read as before', () => {
  test.concurrent.for(readers)('songswap $command', (line, context) => compare(line, context))
  test.for(sequence)('songswap $command', (line, context) => compare(line, context))
})

async function compare(line: Line, { expect }: Pick<TestContext, 'expect'>): Promise<void> {
  const name = line.name ?? line.command.replaceAll(/[^\w.]+/g, '-').replace(/-$/, '')
  const input = line.input?.replace('token of listener 4', world.spotify.refreshToken(4))
  const plain = await run(line.command, input)
  const json = line.once ? '' : `\n${await run(`${line.command} --json`, input)}`
  await expect(plain + json).toMatchFileSnapshot(`../golden/cli/${name}.txt`)
}

/** The output of a run as text for a golden file. It repeats a run in which a part was late. */
async function run(command: string, input = ''): Promise<string> {
  const { code, stdout, stderr } = await until(async () => {
    const ended = await runSongswap(command.split(' '), world.env, input)
    return ended.stdout.includes('no answer within') ? null : ended
  }, `songswap ${command} is in time`)
  if (command.endsWith('--json') && stdout !== '') expectDocumented(command, stdout)
  const parts = [`$ songswap ${command}`, `exit code ${code}`, stdout, ...(stderr ? ['stderr:', stderr] : [])]
  return normalise(parts.join('\n'))
}

/** Expects every field of the `--json` output in the schema of its report. */
function expectDocumented(command: string, stdout: string): void {
  const report = reports.find((r) => `${command} `.startsWith(`${r.command} `))
  if (!report) throw new Error(`operations/reports.ts lacks the report of ${command}`)
  const documents = report.lines ? stdout.trimEnd().split('\n') : [stdout]
  const schema = z.fromJSONSchema(toJsonSchema(report.schema))
  for (const text of documents) {
    const parsed = schema.safeParse(JSON.parse(text))
    expect(parsed.error && z.prettifyError(parsed.error)).toBeUndefined()
  }
}

/** Texts that differ from run to run, with replacements of the same width, so that tables stay as they are. */
const varying: readonly [pattern: RegExp, text: string | ((found: string) => string)][] = [
  [/world_[0-9a-f]+/g, (name) => `world_${'0'.repeat(name.length - 'world_'.length)}`],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '00000000-0000-0000-0000-000000000000'],
  [/\d{4}-\d\d-\d\d([T\s]\s*)\d\d:\d\d/g, '0000-00-00$100:00'],
  [/(00:00):\d\d/g, '$1:00'],
  [/(00:00:00)\.\d{3}/g, '$1.000'],
  [/20\d\d-\d\d-\d\d/g, '0000-00-00'],
  [/\b1[6-9]\d{11}\b/g, '1000000000000'],
  [/(?: |\b\d)\d[sm]\b/g, ' 0s'],
  [/for {2}0s/g, 'for 0s'],
  [/Done in [\d.]+s, [\d,]+ /g, 'Done in 0s, 0 '],
  [/("(?:lagMs|forMs|ms|seconds|schemaId)": ?)[1-9][\d.]*/g, '$10'],
  [/("seconds": )0\.\d+/g, '$10'],
  [/("base64": )"[^"]*"/g, '$1"…"'],
  [/schema \d+/g, 'schema 0'],
  [/127\.0\.0\.1:\d+/g, '127.0.0.1:00000'],
]

function normalise(text: string): string {
  return varying.reduce((result, [pattern, by]) => result.replaceAll(pattern, by as string), text)
}
