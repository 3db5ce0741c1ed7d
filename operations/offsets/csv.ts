import type { PartitionOffset } from '../../lib/kafka/group-admin.ts'

/** Offsets of one group, in the CSV of kafka-consumer-groups (`--export`, `--from-file`): topic,partition,offset. */
export function toCsv(lines: readonly PartitionOffset[]): string {
  return lines.map((l) => `${l.topic},${l.partition},${l.offset}\n`).join('')
}

/** Reads the CSV back; each fault names its line. Topic names contain neither commas nor quotes. */
export function parseCsv(text: string): { lines: PartitionOffset[]; faults: string[] } {
  const lines: PartitionOffset[] = []
  const faults: string[] = []
  const seen = new Set<string>()
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (raw.trim() === '') continue
    const cells = raw.split(',').map((c) => c.trim().replace(/^"(.*)"$/, '$1'))
    const [topic = '', partition = '', offset = ''] = cells
    const fits =
      cells.length === 3 &&
      /^[\w.-]{1,249}$/.test(topic) &&
      /^\d{1,9}$/.test(partition) &&
      /^\d{1,15}$/.test(offset)
    const place = `${topic}:${partition}`
    if (!fits) faults.push(`line ${i + 1} is not topic,partition,offset: ${raw.slice(0, 60)}`)
    else if (seen.has(place)) faults.push(`line ${i + 1} names ${place} again`)
    else lines.push({ topic, partition: Number(partition), offset: Number(offset) })
    seen.add(place)
  }
  return { lines, faults }
}
