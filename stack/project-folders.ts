import { join, resolve } from 'node:path'

const root = join(import.meta.dirname, '..')
const data = resolve(root, process.env.STACK_DATA_DIR || '.data')

/** Where `npm start` keeps its data (STACK_DATA_DIR, default `.data`), and where stack/setup.mjs put the jars. */
export const projectFolders = {
  root,
  data,
  jars: join(root, '.data', 'jars'),
  infraEnvFile: join(data, 'infra.env'),
}
