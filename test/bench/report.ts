import { cpus, totalmem } from 'node:os'
import { benches } from './benches.ts'
import type { Measurement } from './measure.ts'
import { median } from './measure.ts'
import type { Pages } from './pages.ts'

/** Medians of a benchmark's runs. */
interface Row {
  name: string
  pagesPerSecond: number
  playsPerSecond: number
  /** Rate as a share of the rate of each measured floor. */
  ofFloors: { name: string; ratio: number }[]
  cpuSecondsPer1000: number
  serverCpuSecondsPer1000: Record<string, number>
  peakRssMb: number | null
  details: Record<string, number>
  runs: Measurement[]
}

export interface Report {
  at: string
  machine: { cpu: string; cores: number; memoryGb: number; node: string }
  shape: Pages['shape']
  rows: Row[]
}

const playsPerPage = 50

export function toReport(results: ReadonlyMap<string, Measurement[]>, pages: Pages): Report {
  const rateOf = (name: string) => median((results.get(name) ?? []).map((m) => m.pages / m.seconds))
  const rows = [...results].map(([name, runs]) => toRow(name, runs, rateOf))
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
  }
  return {
    at: new Date().toISOString().slice(0, 19),
    machine,
    shape: { ...pages.shape, pages: pages.count },
    rows,
  }
}

function toRow(name: string, runs: Measurement[], rateOf: (name: string) => number): Row {
  const rate = rateOf(name)
  const floors = (benches[name]?.floors ?? []).map((floor) => ({ name: floor, ratio: rate / rateOf(floor) }))
  const medianOf = (pick: (m: Measurement) => number) => median(runs.map(pick))
  const keysOf = (pick: (m: Measurement) => object) => [...new Set(runs.flatMap((m) => Object.keys(pick(m))))]
  const servers = keysOf((m) => m.serverCpuSeconds) as (keyof Measurement['serverCpuSeconds'])[]
  return {
    name,
    pagesPerSecond: rate,
    playsPerSecond: rate * playsPerPage,
    ofFloors: floors.filter(({ ratio }) => !Number.isNaN(ratio)),
    cpuSecondsPer1000: medianOf((m) => (m.cpuSeconds / m.pages) * 1000),
    serverCpuSecondsPer1000: Object.fromEntries(
      servers.map((server) => [
        server,
        medianOf((m) => ((m.serverCpuSeconds[server] ?? 0) / m.pages) * 1000),
      ]),
    ),
    peakRssMb: runs.some((m) => m.peakRssMb === null) ? null : medianOf((m) => m.peakRssMb ?? 0),
    details: Object.fromEntries(
      keysOf((m) => m.details).map((key) => [key, medianOf((m) => m.details[key] ?? Number.NaN)]),
    ),
    runs,
  }
}

/** The report as a table in Markdown. */
export function toTable({ at, machine, shape, rows }: Report): string {
  const heads = ['', 'pages/s', 'plays/s', 'of its floor', 'CPU s per 1,000 pages', 'peak RSS MB', '']
  const lines = rows.map((row) => [
    row.name,
    rateText(row.pagesPerSecond),
    rateText(row.playsPerSecond),
    row.ofFloors.map(({ name, ratio }) => `${(ratio * 100).toFixed(0)} % of ${name}`).join(', '),
    `${Number.isFinite(row.cpuSecondsPer1000) ? row.cpuSecondsPer1000.toFixed(2) : ''}${serversText(row.serverCpuSecondsPer1000)}`,
    row.peakRssMb === null ? '' : row.peakRssMb.toFixed(0),
    Object.entries(row.details)
      .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
      .join(', '),
  ])
  const table = [heads, heads.map((_, i) => (i === 0 ? '---' : '---:')), ...lines]
  const caption = `${at}, ${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, Node ${machine.node}; ${shape.pages} pages, ${shape.users} users`
  return `${caption}\n\n${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`
}

/** Empty for a benchmark without pages. */
function rateText(rate: number): string {
  return rate === 0 ? '' : rate.toFixed(0)
}

function serversText(servers: Record<string, number>): string {
  const parts = Object.entries(servers).map(([name, value]) => `${name} ${value.toFixed(2)}`)
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}
