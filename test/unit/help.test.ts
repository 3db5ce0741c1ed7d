import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Entry } from '../../cli/command.ts'
import { commands } from '../../cli/commands.ts'
import { runProgram } from '../../cli/program.ts'

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
