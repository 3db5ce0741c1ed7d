import { openCodec } from '../../lib/codec.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { runService } from '../../lib/lifecycle.ts'
import { openS3 } from '../../lib/s3.ts'
import { topology } from '../../lib/topology.ts'
import { readConfig } from './config.ts'
import { RowFormats } from './row-format.ts'
import { ArchiveSink } from './sink.ts'
import { openStore } from './store.ts'

/** Objects grow across batches: small ones keep what is decoded at a time, in all partitions together, small. */
const batchMaxBytes = 1 << 20

/** Raw topics → one sink per partition → immutable Avro objects in S3. */
await runService('archiver', readConfig, async ({ config, scope, log, health, fail }) => {
  const { recentlyPlayed, metadata, groups } = topology(config.kafka.prefix)
  const topics = [recentlyPlayed, metadata]
  const formats = new RowFormats(topics)
  const store = openStore(await scope.use(openS3(config.s3), 's3'), config.s3.prefix)
  const codec = openCodec(config.kafka.registryUrl)
  const kafka = await scope.use(
    openKafka({ config: config.kafka, codec, log, health, name: 'archiver', fail }),
  )
  await kafka.consumeInto({
    group: groups.archiver,
    topics,
    batchMaxBytes,
    open: (topic, partition) =>
      new ArchiveSink({ ...config, topic, partition, store, formats, log, now: () => performance.now() }),
  })
})
