import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const data = join(root, '.data')

/** Where `npm start` keeps things, and where stack/setup.mjs put the jars. */
export const projectFolders = {
  root,
  data,
  jars: join(data, 'jars'),
  infraEnvFile: join(data, 'infra.env'),
}
