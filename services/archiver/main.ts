import { runService } from '../../lib/lifecycle.ts'
import { startArchiver } from './archiver.ts'
import { readConfig } from './config.ts'

await runService('archiver', readConfig, startArchiver)
