import { floors } from './floors.ts'
import { Pages } from './pages.ts'

// Runs one floor: its name is the argument, the shape of the load is in BENCH_SHAPE.
const [name = ''] = process.argv.slice(2)
const result = await floors[name]?.(new Pages(JSON.parse(process.env.BENCH_SHAPE ?? '{}')))
console.log(JSON.stringify({ msg: 'done', ...result }))
