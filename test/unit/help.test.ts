import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Entry } from '../../cli/command.ts'
import { commands } from '../../cli/commands.ts'
import { runProgram } from '../../cli/program.ts'
import { reports } from '../../operations/reports.ts'

/** Every command line that has a help of its own. */
function paths(entries: readonly Entry[], parent: readonly string[] = []): string[][] {
  return entries.flatMap((entry) => {
    const path = [...parent, entry.usage.split(' ')[0] ?? '']
    return [path, ...('commands' in entry ? paths(entry.commands, path) : [])]
  })
}

async function helpOf(path: readonly string[]): Promise<string> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const terminal = { env: {}, stdin: new PassThrough(), stdout, stderr, onInterrupt: () => () => undefined }
  expect(await runProgram([...path, '--help'], terminal)).toBe(0)
  stdout.end()
  return text(stdout)
}

test.each([[], ...paths(commands)].map((path) => [path.join(' '), path] as const))(
  'songswap %s --help reads as before',
  async (name, path) => {
    await expect(await helpOf(path)).toMatchFileSnapshot(
      `golden/help/${name.replaceAll(' ', '-') || 'songswap'}.txt`,
    )
  },
)

/** Command lines that do something, not those that only hold others. */
const working = (entries: readonly Entry[]): string[] =>
  entries.flatMap((entry) => {
    const name = entry.usage.split(' ')[0] ?? ''
    return 'commands' in entry ? working(entry.commands).map((below) => `${name} ${below}`) : [name]
  })

test('every command has a report, in the order of the help', () => {
  expect(reports.map(({ command }) => command)).toEqual(working(commands))
})
