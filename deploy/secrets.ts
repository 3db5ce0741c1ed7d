import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The one-shot that makes the passwords and keys of a new installation, each in its own file. `services` holds the
 * files that the services read through `*_FILE`; `servers` holds those of Postgres, the registry and the object store,
 * which never see the keys that encrypt users' tokens. Existing secrets stay; nothing is printed.
 */
const folders = { services: '/secrets/services', servers: '/secrets/servers' }

const user = 'songswap'
const bucketKey = 'songswap'

/** The clients' side of a password comes last: if it is missing after a crash, the next run makes both sides again. */
function makePostgresPassword(): void {
  const password = randomBytes(24).toString('base64url')
  write(folders.servers, 'postgres-password', password)
  write(folders.servers, 'registry.properties', `apicurio.datasource.password=${password}\n`)
  write(folders.services, 'database-url', `postgres://${user}:${password}@postgres:5432/${user}`)
}

function makeS3Key(): void {
  const key = randomBytes(24).toString('base64url')
  const properties = [
    's3proxy.endpoint=http://0.0.0.0:9000',
    's3proxy.authorization=aws-v4',
    `s3proxy.identity=${bucketKey}`,
    `s3proxy.credential=${key}`,
    'jclouds.provider=filesystem-nio2',
    'jclouds.filesystem.basedir=/data',
  ]
  write(folders.servers, 's3proxy.properties', `${properties.join('\n')}\n`)
  write(folders.services, 'aws-access-key-id', bucketKey)
  write(folders.services, 'aws-secret-access-key', key)
}

function makeTokenKeys(): void {
  write(folders.services, 'token-encryption-keys', `first:${randomBytes(32).toString('base64url')}`)
}

/** Any user in the containers that mount the folder may read the file: the images choose the user ids. */
function write(folder: string, name: string, text: string): void {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, name)
  writeFileSync(`${file}.new`, text, { mode: 0o444 })
  renameSync(`${file}.new`, file)
}

const makers: [lastFile: string, make: () => void][] = [
  ['database-url', makePostgresPassword],
  ['aws-secret-access-key', makeS3Key],
  ['token-encryption-keys', makeTokenKeys],
]
for (const [lastFile, make] of makers) {
  if (!existsSync(join(folders.services, lastFile))) make()
}
