import { runService } from '../../lib/lifecycle.ts'
import { startAlerter } from './alerter.ts'
import { readConfig } from './config.ts'

await runService('alerter', readConfig, startAlerter)
