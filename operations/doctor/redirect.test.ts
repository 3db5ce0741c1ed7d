import { expect, test } from 'vitest'
import { redirectFault } from './redirect.ts'

test.each([
  'http://127.0.0.1:8888/callback',
  'http://127.0.0.1/callback',
  'http://[::1]:8888/callback',
  'https://songswap.example/connect/callback',
])('%s is allowed', (address) => {
  expect(redirectFault(address)).toBeNull()
})

test.each([
  ['http://localhost:5000/callback', 'localhost'],
  ['https://localhost/callback', 'localhost'],
  ['http://songswap.example/callback', 'https'],
  ['http://127.0.0.2/callback', '127.0.0.1'],
  ['https://songswap.example/callback#x', 'fragment'],
  ['songswap://callback', 'neither'],
  ['127.0.0.1:8888', 'no address'],
])('%s is not: %s', (address, why) => {
  expect(redirectFault(address)).toContain(why)
})
