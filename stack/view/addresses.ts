/** The servers' addresses, one a line, without passwords. */
export function describeInfra(env: Record<string, string>): string {
  return toColumns([
    ['Kafka', env.KAFKA_BROKERS ?? ''],
    ['Registry', env.SCHEMA_REGISTRY_URL ?? ''],
    ['S3', `${env.S3_ENDPOINT}  bucket ${env.S3_BUCKET}`],
    ['Postgres', (env.DATABASE_URL ?? '').replace(/:[^:@/]+@/, ':…@')],
  ])
}

/** Names and texts in aligned columns. */
export function toColumns(rows: [name: string, text: string][]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n')
}
