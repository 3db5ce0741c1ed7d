import { rmSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { stopOrphans } from '../../stack/infra/pid-records.ts'

/** The process of {@link startReaper}: waits for the end of its parent, then cleans up. */
const [dataDir] = process.argv.slice(2)
if (!dataDir) throw new Error('reaper-main.ts DATA_DIR')
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM']) process.on(signal, () => undefined)
if ((await text(process.stdin)) !== 'dismissed') {
  await stopOrphans(dataDir)
  rmSync(dataDir, { recursive: true, force: true })
}
