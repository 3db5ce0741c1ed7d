import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** `npm run service -- NAME`: runs one service with the environment as it is. */
const names = readdirSync(import.meta.dirname).filter((name) =>
  existsSync(join(import.meta.dirname, name, 'main.ts')),
)
const [name] = process.argv.slice(2)
if (name && names.includes(name)) {
  await import(`./${name}/main.ts`)
} else {
  console.error(`${name ? `There is no service "${name}". ` : ''}npm run service -- ${names.join(' | ')}`)
  process.exitCode = 2
}
