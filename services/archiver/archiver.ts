import { openCodec } from '../../lib/codec.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { ServiceContext } from '../../lib/lifecycle.ts'
import { openS3 } from '../../lib/s3.ts'
import { readBucketSettings } from '../../lib/server-settings/bucket.ts'
import { watchSettings } from '../../lib/server-settings/watch.ts'
import { within } from '../../lib/time-limit.ts'
import { topology } from '../../lib/topology.ts'
import type { ArchiverConfig } from './config.ts'
import type { Begins } from './incarnation-notice.ts'
import { incarnationNotice } from './incarnation-notice.ts'
import { PutGuard } from './put-guard.ts'
import { RowFormats } from './row-format.ts'
import { ArchiveSink } from './sink.ts'
import { openStore } from './store.ts'
import { openUserIndex } from './user-index.ts'

/** Objects grow across batches, so batches are small to keep little decoded at a time in all partitions together. */
const batchMaxBytes = 1 << 20

const firstAnswerWithinMs = 2_000

const clocks = { now: () => performance.now(), wallClock: () => Date.now() }

/** Raw topics → one sink per partition → immutable Avro objects in S3. */
export async function startArchiver(service: ServiceContext<ArchiverConfig>): Promise<void> {
  const { config, scope, log, health } = service
  const { recentlyPlayed, metadata, groups } = topology(config.kafka.prefix)
  const topics = [recentlyPlayed, metadata]
  const formats = new RowFormats(topics)
  const s3 = await scope.use(openS3(config.s3), 's3')
  const { prefix } = config.s3
  const index = await scope.use(openUserIndex(s3, { prefix, topic: recentlyPlayed.name, log }), 'index')
  const codec = openCodec(config.kafka)
  const kafka = await scope.use(openKafka({ ...service, config: config.kafka, codec }), 'kafka')
  const onIncarnation = (begins: Begins) => kafka.notify(incarnationNotice(begins))
  const guard = new PutGuard({ s3, prefix, notify: kafka.notify, health })
  const store = openStore(s3, prefix, { index, assertProven: () => guard.assertProven() })
  // The store is tested now; if it is away, the first put tests it again.
  await within(
    firstAnswerWithinMs,
    guard.assertProven().catch(() => undefined),
  )
  const find = async () => (await readBucketSettings(config.s3)).unsafe
  // Without a database it is not known which events are open, so none is resolved.
  const resolve = async () => undefined
  await scope.use(
    watchSettings({ subject: 'bucket', find, raise: kafka.publishNotices, resolve, log }),
    'settings',
  )
  await kafka.consumeInto({
    group: groups.archiver,
    topics,
    batchMaxBytes,
    open: (topic, partition) =>
      new ArchiveSink({ ...config, ...clocks, topic, partition, store, formats, onIncarnation, log }),
  })
}
