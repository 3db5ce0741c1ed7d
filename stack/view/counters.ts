/** What moves while the stream runs; each since the service that counts it started. */
export interface Counters {
  polled: number
  published: number
  archived: number
  stored: number
  duplicates: number
  enriched: number
  deadLetters: number
}

type Labels = Record<string, string>

interface Source {
  metric: string
  where?: (labels: Labels) => boolean
}

const isPages = ({ topic = '' }: Labels) => topic.endsWith('spotify.recently-played')

/** Names are those of lib/metrics.ts. */
const sources: Record<keyof Counters, Source> = {
  polled: { metric: 'songswap_polls_total' },
  published: { metric: 'songswap_records_published_total', where: isPages },
  archived: { metric: 'songswap_records_archived_total' },
  stored: { metric: 'songswap_plays_total', where: ({ result }) => result === 'stored' },
  duplicates: { metric: 'songswap_plays_total', where: ({ result }) => result === 'duplicate' },
  enriched: { metric: 'songswap_entities_enriched_total' },
  deadLetters: { metric: 'songswap_dead_letters_total' },
}

const names = Object.keys(sources) as (keyof Counters)[]

/** Adds up the counters in what `/metrics` of some services answered (Prometheus text). */
export function readCounters(texts: string[]): Counters {
  const samples = texts.flatMap((text) => text.split('\n').flatMap(toSample))
  const total = ({ metric, where = () => true }: Source) =>
    samples
      .filter((sample) => sample.metric === metric && where(sample.labels))
      .reduce((sum, { value }) => sum + value, 0)
  return Object.fromEntries(names.map((name) => [name, total(sources[name])])) as unknown as Counters
}

function toSample(line: string): { metric: string; labels: Labels; value: number }[] {
  const [, metric, labelText = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (!metric?.startsWith('songswap_')) return []
  const labels = [...labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, text]) => [name, text])
  return [{ metric, labels: Object.fromEntries(labels), value: Number(value) }]
}

const titles: Record<keyof Counters, string> = {
  polled: 'polled',
  published: 'published',
  archived: 'archived',
  stored: 'stored',
  duplicates: 'duplicates',
  enriched: 'enriched',
  deadLetters: 'dead letters',
}

/** The counters in one line. */
export function toCounterLine(counters: Counters): string {
  return names.map((name) => `${titles[name]} ${counters[name].toLocaleString('en-US')}`).join('   ')
}
