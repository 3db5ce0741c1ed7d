import { expect, test } from 'vitest'
import { redirectFault } from './redirect-uri.ts'

const registered = [
  'http://127.0.0.1/callback',
  'https://songswap.example/done',
  'http://127.0.0.1:8080/fixed',
]
const insecure = 'INVALID_CLIENT: Insecure redirect URI'
const invalid = 'INVALID_CLIENT: Invalid redirect URI'

test.each([
  ['https://songswap.example/done', null],
  ['https://songswap.example/done/', invalid],
  ['https://songswap.example/other', invalid],
  ['http://songswap.example/done', insecure],
  ['http://localhost:8080/callback', insecure],
  ['https://localhost/callback', insecure],
  ['http://127.0.0.1:43210/callback', null],
  ['http://127.0.0.1/callback', null],
  ['http://127.0.0.1:43210/other', invalid],
  ['http://127.0.0.1:8080/fixed', null],
  ['http://127.0.0.1:8081/fixed', invalid],
  ['nonsense', invalid],
])('%s: %s', (uri, fault) => {
  expect(redirectFault(uri, registered)).toBe(fault)
})

test('with nothing registered only the rules of form apply', () => {
  expect(redirectFault('http://[::1]:1234/x', null)).toBeNull()
  expect(redirectFault('https://anything.example/', null)).toBeNull()
  expect(redirectFault('http://localhost/', null)).toBe(insecure)
})
