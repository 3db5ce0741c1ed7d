import { runService } from '../../lib/lifecycle.ts'
import { readConfig } from './config.ts'
import { startPoller } from './poller.ts'

await runService('poller', readConfig, startPoller)
