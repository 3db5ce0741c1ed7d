import { writeFile } from 'node:fs/promises'
import { reports } from './reports.ts'
import { toReportsPage } from './reports-page.ts'

await writeFile(new URL('../docs/json.md', import.meta.url), toReportsPage(reports))
