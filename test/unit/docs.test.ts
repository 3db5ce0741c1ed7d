import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { deadLetterReasons } from '../../lib/kafka/dead-letter.ts'
import { allTopics, topology } from '../../lib/topology.ts'

const root = join(import.meta.dirname, '..', '..')
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 1 << 24,
})
  .split('\n')
  .filter((file) => existsSync(join(root, file)))
const names = new Set(files.map((file) => basename(file)))
const pages = files.filter((file) => file.endsWith('.md'))
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** The text of a page without its blocks of code. */
const proseOf = (page: string) => read(page).replaceAll(/^```.*?^```/gms, '')

/** Targets of the links of a page that stay in the repository, relative to its root, with their anchors. */
function linksOf(page: string): { path: string; anchor: string | undefined }[] {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return []
    const [path = '', anchor] = target.split('#')
    return [{ path: path === '' ? page : normalize(join(dirname(page), path)), anchor }]
  })
}

/** Anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ +(.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe.each(pages)('%s', (page) => {
  test('no link is broken', () => {
    const broken = linksOf(page).filter(({ path, anchor }) => {
      if (!existsSync(join(root, path))) return true
      return anchor !== undefined && !anchorsOf(path).includes(anchor)
    })
    expect(broken).toEqual([])
  })

  test('every file that it names is there', () => {
    const named = [...proseOf(page).matchAll(/`([\w./-]+\.(?:ts|mjs|sql|avsc|test\.yaml))`/g)]
    // The changelog also names files of the past.
    const missing = (page === 'CHANGELOG.md' ? [] : named)
      .map(([, name = '']) => name)
      .filter((name) => !/NAME|NNNN|FAMILY/.test(name))
      .filter((name) => !(name.includes('/') ? files.includes(name) : names.has(name)))
    expect(missing).toEqual([])
  })

  test('what it names in a file is declared there', () => {
    const named = [...proseOf(page).matchAll(/`(\w+)(?:\(\))?` in `([\w./-]+\.ts)`/g)]
    const missing = named.filter(([, name = '', file = '']) => !new RegExp(`\\b${name}\\b`).test(read(file)))
    expect(missing.map(([text]) => text)).toEqual([])
  })
})

test('docs/README.md leads to every page of docs/', () => {
  const linked = new Set(linksOf('docs/README.md').map(({ path }) => path))
  const unreached = globSync('docs/**/*.md', { cwd: root }).filter(
    (page) => page !== 'docs/README.md' && !linked.has(page),
  )
  expect(unreached).toEqual([])
})

test.each(commands)('the README names songswap $usage and all below it', (entry) => {
  const [name = ''] = entry.usage.split(' ')
  const row = new RegExp(`^\\| \`songswap ${name}\\b.*\\|$`, 'm').exec(read('README.md'))?.[0] ?? ''
  expect(row).toContain(name)
  const below = 'commands' in entry ? entry.commands.map(({ usage }) => usage.split(' ')[0] ?? '') : []
  expect(below.filter((one) => !new RegExp(`\\b${one}\\b`).test(row))).toEqual([])
})

test.each(allTopics(topology()))(
  'ARCHITECTURE.md has $name in its table of topics, as it is made',
  (topic) => {
    const { name, retentionDays, cleanup, partitions } = topic
    const row = read('ARCHITECTURE.md')
      .split('\n')
      .find((line) => line.startsWith(`| \`${name}\` |`))
    const cells = row?.split('|').map((cell) => cell.trim()) ?? []
    const words = [
      ...(cleanup.includes('compact') ? ['compacted'] : []),
      ...(retentionDays ? [`${retentionDays} days`] : []),
    ]
    expect(cells.slice(4, 6)).toEqual([words.join(', '), String(partitions)])
  },
)

test('the page about dead letters says what to do about each reason', () => {
  const page = read('docs/operations/discord-says-dead-letters.md')
  expect(Object.keys(deadLetterReasons).filter((reason) => !page.includes(`\`${reason}\``))).toEqual([])
})

/** A test's title as a pattern: its `%s` and `${…}` stand for anything. */
const placeholder = /%\w|\$\{.*?\}/
const toPattern = (title: string) => new RegExp(title.split(placeholder).map(RegExp.escape).join('.+'))

test('every test that the guarantees and the README name is there', () => {
  const sources = files.filter((file) => /^test\/.*\.ts$|\.test\.ts$/.test(file)).map(read)
  const code = sources
    .join('\n')
    .replaceAll(/\\(['"`])/g, '$1')
    .replaceAll('’', "'")
  const patterns = [...code.matchAll(/['`]([^'`\n]*(?:%\w|\$\{)[^'`\n]*)['`]/g)]
    .map(([, title = '']) => title)
    .filter((title) => title.split(placeholder).join('').length > 20)
    .map(toPattern)
  const quoted = [
    ...read('docs/guarantees.md').matchAll(/"([^"\n]{20,})"/g),
    ...read('README.md').matchAll(/\.test\.ts`: ([^;|`]{20,})/g),
  ].map(([, title = '']) => title)
  const unknown = quoted.filter((title) => {
    const parts = title.split('…').map((part) => part.trim())
    return !parts.every((part) => code.includes(part)) && !patterns.some((pattern) => pattern.test(title))
  })
  expect(quoted.length).toBeGreaterThan(50)
  expect(unknown).toEqual([])
})
