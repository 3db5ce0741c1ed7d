import { Client } from 'pg'

/** Runs `work` with a connection to the maintenance database, which no test uses as its own. */
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
