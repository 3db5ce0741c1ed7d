import { execFileSync } from 'node:child_process'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { toEnvText } from './env-file.ts'

const values = {
  PLAIN: 'http://127.0.0.1:18080/apis/ccompat/v7',
  ADDRESS: 'postgres://user:p-w_d@127.0.0.1:15432/songswap',
  SPACES: 'two words # no comment',
  DOLLAR: 'a$HOME`id`\\n"q"',
  EMPTY: '',
}

describe('an environment file', () => {
  test('node --env-file reads every value as it was', () => {
    expect(parseEnv(toEnvText(values))).toEqual(values)
  })

  test('a shell reads every value as it was', () => {
    for (const [name, value] of Object.entries(values)) {
      const script = `${toEnvText(values)}printf %s "$${name}"`
      expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toBe(value)
    }
  })

  test('a value that the two would read differently is refused', () => {
    expect(() => toEnvText({ QUOTE: "it's" })).toThrow(RangeError)
    expect(() => toEnvText({ LINES: 'a\nb' })).toThrow(RangeError)
  })
})
