import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { elementSlices } from './slices.ts'

const texts = (json: string, name = 'tracks') => elementSlices(Buffer.from(json), name)?.map(String) ?? null

describe('slices', () => {
  const cases: [name: string, json: string, expected: string[] | null][] = [
    [
      'as they are written',
      '{"tracks":[{"b":1.0,"a":"\\u00e9"} , null,{}]}',
      ['{"b":1.0,"a":"\\u00e9"}', 'null', '{}'],
    ],
    ['an empty list', '{ "tracks" : [ ] }', []],
    [
      'brackets and quotes in strings',
      '{"x":"]}\\"","tracks":["a]b","\\\\",{"k":"}"}]}',
      ['"a]b"', '"\\\\"', '{"k":"}"}'],
    ],
    ['a name inside another value', '{"a":{"tracks":[1]},"b":["tracks"],"tracks":[2]}', ['2']],
    ['an escaped name', '{"tr\\u0061cks":[1]}', ['1']],
    ['of the last one of that name', '{"tracks":[1],"tracks":[2,3]}', ['2', '3']],
    ['nested lists', '{"tracks":[[1,[2]],[]]}', ['[1,[2]]', '[]']],
    ['no such name', '{"artists":[1]}', null],
    ['no list', '{"tracks":{"0":1}}', null],
    ['no object', '[{"tracks":[1]}]', null],
    ['an empty object', '{}', null],
  ]
  test.each(cases)('%s', (_, json, expected) => {
    expect(texts(json)).toEqual(expected)
  })

  test('are the very bytes, also where they are no UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"tracks":["'), Buffer.from([0xff, 0xc3]), Buffer.from('",2]}')])
    expect(elementSlices(body, 'tracks')?.[0]).toEqual(Buffer.from([0x22, 0xff, 0xc3, 0x22]))
  })

  test('parse to the elements of any list in any object, with any spacing', () => {
    const spacing = fc.constantFrom(undefined, 1, '\t', '  ')
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        spacing,
        (list, rest, space) => {
          const object = { ...rest, tracks: list, z: list }
          const slices = texts(JSON.stringify(object, null, space))
          expect(slices?.map((s) => JSON.parse(s))).toEqual(JSON.parse(JSON.stringify(list)))
        },
      ),
    )
  })

  test('of what is no JSON end too: as slices of it or with an error', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[],:"\\ ntracks1') }), (text) => {
        try {
          const slices = elementSlices(Buffer.from(`{"tracks":[${text}`), 'tracks') ?? []
          expect(slices.every((s) => text.includes(String(s)))).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError)
        }
      }),
    )
  })
})
