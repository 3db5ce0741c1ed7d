/** The servers' addresses, a line each, without the passwords. */
export function describeInfra(env: Record<string, string>): string {
  return toColumns([
    ['Kafka', env.KAFKA_BROKERS ?? ''],
    ['Registry', env.SCHEMA_REGISTRY_URL ?? ''],
    ['S3', `${env.S3_ENDPOINT}  bucket ${env.S3_BUCKET}`],
    ['Postgres', (env.DATABASE_URL ?? '').replace(/:[^:@/]+@/, ':…@')],
  ])
}

/** Names and what belongs to them, one pair a line, aligned. */
export function toColumns(rows: [name: string, text: string][]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n')
}
