import { Client } from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { createWorld } from '../support/world.ts'

describe('the servers of a test run', () => {
  test('Postgres is version 18 and keeps UTF-8', async () => {
    const client = new Client({ connectionString: inject('infra').DATABASE_URL })
    await client.connect()
    onTestFinished(() => client.end())
    const { rows } = await client.query(
      "SELECT current_setting('server_version_num')::int AS version, 'ü'::text AS text",
    )
    expect(rows[0].version).toBeGreaterThanOrEqual(180_000)
    expect(rows[0].text).toBe('ü')
  })

  test('the registry speaks the Confluent API', async () => {
    const response = await fetch(`${inject('infra').SCHEMA_REGISTRY_URL}/subjects`)
    expect(response.status).toBe(200)
    expect(await response.json()).toBeInstanceOf(Array)
  })

  test('the S3 server turns unsigned requests away', async () => {
    const { S3_ENDPOINT, S3_BUCKET } = inject('infra')
    expect((await fetch(`${S3_ENDPOINT}/${S3_BUCKET}`)).status).toBe(403)
  })

  test('a world whose pool was left open says so when it is released', async () => {
    const world = await createWorld()
    const leaked = new Client({ connectionString: world.env.DATABASE_URL })
    leaked.on('error', () => {})
    await leaked.connect()
    await expect(world.release()).rejects.toThrow('left open')
  })
})
