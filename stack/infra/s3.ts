import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { javaArgs, javaCommand } from './java.ts'
import { createServer, type Server } from './server.ts'
import type { StackFault } from './stack-fault.ts'

export interface S3Options {
  dataDir: string
  storeDir: string
  jarsDir: string
  port: number
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  onCrash: (fault: StackFault) => void
}

export const s3Region = 'us-east-1'

/** S3Proxy over a folder, with signatures required; not yet started. It is ready when its bucket exists. */
export function createS3(options: S3Options): Server {
  const { dataDir, storeDir, jarsDir, port, onCrash } = options
  const propertiesFile = join(dataDir, 'run', 's3proxy.properties')
  return createServer({
    name: 's3',
    dataDir,
    command: javaCommand(),
    args: [
      ...javaArgs({ heapMiB: 256, quickStart: false }),
      ...['-DLOG_LEVEL=warn', '-DJETTY_LOG_LEVEL=warn'],
      // Else its logging library prints its own configuration at length.
      '-Dlogback.statusListenerClass=ch.qos.logback.core.status.NopStatusListener',
      '-jar',
      join(jarsDir, 's3proxy', 's3proxy.jar'),
      '--properties',
      propertiesFile,
    ],
    stopSignal: 'SIGTERM',
    prepare() {
      const folder = join(storeDir, 's3')
      mkdirSync(folder, { recursive: true })
      mkdirSync(join(dataDir, 'run'), { recursive: true })
      writeFileSync(propertiesFile, s3Properties(options, folder), { mode: 0o600 })
    },
    isReady: () => bucketIsThere(options, port),
    onCrash,
  })
}

function s3Properties({ port, accessKeyId, secretAccessKey }: S3Options, folder: string): string {
  return [
    `s3proxy.endpoint=http://127.0.0.1:${port}`,
    's3proxy.authorization=aws-v4',
    `s3proxy.identity=${accessKeyId}`,
    `s3proxy.credential=${secretAccessKey}`,
    'jclouds.provider=filesystem-nio2',
    `jclouds.filesystem.basedir=${folder}`,
    '',
  ].join('\n')
}

async function bucketIsThere(
  { bucket, accessKeyId, secretAccessKey }: S3Options,
  port: number,
): Promise<boolean> {
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: s3Region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  })
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }))
    return true
  } catch (error) {
    if ((error as { name?: string }).name !== 'NotFound') return false
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    return true
  } finally {
    client.destroy()
  }
}
