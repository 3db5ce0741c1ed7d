import { runService } from '../../lib/lifecycle.ts'
import { readConfig } from './config.ts'
import { startLoader } from './loader.ts'

await runService('loader', readConfig, startLoader)
