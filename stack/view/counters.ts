/** Counts of a running stream. */
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

/** The counters in the `/metrics` of one service (Prometheus text), summed over labels. */
export function readCounters(text: string): Counters {
  const samples = text.split('\n').flatMap(toSample)
  return mapCounters((name) => {
    const { metric, where = () => true } = sources[name]
    const counted = samples.filter((sample) => sample.metric === metric && where(sample.labels))
    return counted.reduce((sum, { value }) => sum + value, 0)
  })
}

/** A service's counts over its restarts: each restart begins at zero. */
export interface Tally {
  /** Before the last restart. */
  before: Counters
  /** Since the last restart, as last read. */
  last: Counters
}

export const emptyTally: Tally = { before: mapCounters(() => 0), last: mapCounters(() => 0) }

/** A tally with a newer reading; a counter that has fallen means a restart. */
export function addReading({ before, last }: Tally, reading: Counters): Tally {
  const restarted = names.some((name) => reading[name] < last[name])
  return { before: restarted ? addUp([before, last]) : before, last: reading }
}

export function totalOf(tallies: Tally[]): Counters {
  return addUp(tallies.flatMap(({ before, last }) => [before, last]))
}

function addUp(counters: Counters[]): Counters {
  return mapCounters((name) => counters.reduce((sum, one) => sum + one[name], 0))
}

function mapCounters(countOf: (name: keyof Counters) => number): Counters {
  return Object.fromEntries(names.map((name) => [name, countOf(name)])) as unknown as Counters
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

export function toCounterLine(counters: Counters): string {
  return names.map((name) => `${titles[name]} ${counters[name].toLocaleString('en-US')}`).join('   ')
}
