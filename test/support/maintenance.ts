import { Client } from 'pg'

/** Works with a connection to the database beside which the tests make theirs. */
export async function onMaintenanceDatabase(
  infra: Record<string, string>,
  work: (client: Client) => Promise<unknown>,
): Promise<void> {
  const client = new Client({ connectionString: infra.DATABASE_URL })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
