import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { nodeEnv, nodeFlags } from './node-flags.ts'

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

test('services run with the same flags in a container, by npm run service and in the local stack', () => {
  expect(JSON.parse(read('package.json')).scripts.service).toContain(
    `MALLOC_ARENA_MAX=${nodeEnv.MALLOC_ARENA_MAX} node ${nodeFlags.join(' ')} `,
  )
  const flags = nodeFlags.map((flag) => `, "${flag}"`).join('')
  expect(read('Dockerfile')).toContain(`ENTRYPOINT ["node"${flags}]`)
  expect(read('Dockerfile')).toContain(`MALLOC_ARENA_MAX=${nodeEnv.MALLOC_ARENA_MAX}\n`)
  // Code that was compiled with other flags would be compiled again.
  expect(read('Dockerfile')).toContain(`do node ${nodeFlags.join(' ')} deploy/service.ts $service`)
})
