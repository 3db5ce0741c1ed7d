import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { benches } from './benches.ts'
import { publishPages } from './load.ts'
import type { Measurement } from './measure.ts'
import { Pages } from './pages.ts'
import { toReport, toTable } from './report.ts'
import { stopServices } from './service.ts'
import { openStack } from './stack.ts'

/** `npm run bench [-- NAME…]`; BENCH_PAGES, BENCH_RUNS and BENCH_OVERLAP change the load. */
const whole = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const shape = {
  pages: whole('BENCH_PAGES', 12_000),
  users: 200,
  tracks: 2_000,
  artists: 600,
  overlap: whole('BENCH_OVERLAP', 25),
}
const runs = whole('BENCH_RUNS', 3)
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}
const chosen = Object.entries(benches).filter(([name, bench]) =>
  asked.length > 0 ? asked.includes(name) : bench.isUsual,
)

const pages = new Pages(shape)
console.error(`Starting the servers and publishing ${pages.count} pages …`)
const stack = await openStack()
try {
  const load = await publishPages(stack, pages)
  const results = new Map<string, Measurement[]>(chosen.map(([name]) => [name, []]))
  // Interleaved, so that a busy moment of the machine affects a benchmark and its floor alike.
  for (let run = 1; run <= runs; run++) {
    for (const [name, bench] of chosen) {
      if (run > (bench.runs ?? runs)) continue
      const measurement = await bench.run(load)
      results.get(name)?.push(measurement)
      const rate = Math.round(measurement.pages / measurement.seconds)
      console.error(`${name} ${run}/${runs}: ${rate} pages/s ${JSON.stringify(measurement)}`)
    }
  }
  const report = toReport(results, pages)
  const folder = join(import.meta.dirname, '..', '..', '.data', 'bench')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${report.at.replaceAll(':', '')}.json`)
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  console.log(toTable(report))
  console.error(`Written to ${file}`)
} finally {
  await stopServices()
  await stack.close()
}
