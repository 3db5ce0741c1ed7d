import { expect, test } from 'vitest'
import { openConsentDesk } from './consent-desk.ts'

const redirectUri = 'http://127.0.0.1:8888/callback'

function openDesk() {
  const said: string[] = []
  const desk = openConsentDesk('good', (text) => said.push(text))
  desk.open(redirectUri)
  return { desk, said }
}

test('another state does not end the attempt', async () => {
  const { desk, said } = openDesk()
  expect(await desk.offer(`${redirectUri}?code=stolen&state=bad`)).toMatchObject({ status: 400 })
  desk.paste(`${redirectUri}?code=abc&state=good`)
  expect(await desk.code).toBe('abc')
  expect(said.join()).toContain('another state')
  expect(said.join()).not.toContain('stolen')
})

test('a code that comes twice is taken once', async () => {
  const { desk } = openDesk()
  const first = desk.offer(`${redirectUri}?code=abc&state=good`)
  expect(await desk.offer(`${redirectUri}?code=abc&state=good`)).toMatchObject({ status: 409 })
  desk.close({ status: 200, text: 'done' })
  expect(await first).toEqual({ status: 200, text: 'done' })
})

test('a refusal ends the attempt', async () => {
  const { desk } = openDesk()
  await desk.offer(`${redirectUri}?error=access_denied&state=good`)
  await expect(desk.code).rejects.toThrow('declined')
})

test('a refusal after the code changes nothing', async () => {
  const { desk } = openDesk()
  void desk.offer(`${redirectUri}?code=abc&state=good`)
  await desk.offer(`${redirectUri}?error=access_denied&state=good`)
  expect(await desk.code).toBe('abc')
})

test('what is no answer of Spotify is told, not taken', () => {
  const { desk, said } = openDesk()
  desk.paste('AQB…')
  desk.paste('')
  expect(said).toHaveLength(1)
  expect(said[0]).toContain(`${redirectUri}?code=`)
})
