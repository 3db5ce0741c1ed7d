import { runService } from '../../lib/lifecycle.ts'
import { readConfig } from './config.ts'
import { startEnricher } from './enricher.ts'

await runService('enricher', readConfig, startEnricher)
