import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type LifecycleRule,
  S3Client,
} from '@aws-sdk/client-s3'
import type { S3Config } from '../config.ts'
import { messageOf } from '../errors.ts'
import { clientSettings } from '../s3.ts'
import type { UnsafeSetting } from './rules.ts'
import { judgeSettings } from './rules.ts'

/** The settings of a bucket, as far as the store answers. */
export interface BucketSettings {
  unsafe: UnsafeSetting[]
  /** Requests that the store refused, with its errors. A setting that the store does not know is not among them. */
  refused: string[]
}

/** Errors of stores that do not have the setting, or not for this bucket. */
const absent = new Set([
  'MethodNotAllowed',
  'NoSuchLifecycleConfiguration',
  'NotImplemented',
  'ObjectLockConfigurationNotFoundError',
])
const cold = new Set(['GLACIER', 'DEEP_ARCHIVE'])

/** Reads lifecycle, versioning and locks of the bucket. Never throws, because a store may not answer these requests. */
export async function readBucketSettings(config: S3Config): Promise<BucketSettings> {
  const client = new S3Client(clientSettings(config))
  const Bucket = config.bucket
  const found = new Map<string, string>()
  const refused: string[] = []

  async function ask(what: string, question: () => Promise<Iterable<[string, string]>>): Promise<void> {
    try {
      for (const [name, value] of await question()) found.set(name, value)
    } catch (error) {
      if (error instanceof Error && absent.has(error.name)) return
      refused.push(`${what}: ${messageOf(error)}`)
    }
  }

  try {
    await ask('lifecycle', async () => {
      const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
      return lifecycleOf(Rules, config.prefix)
    })
    await ask('versioning', async () => {
      const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket }))
      return [['versioning', Status === undefined ? 'off' : Status.toLowerCase()]]
    })
    await ask('object lock', async () => {
      const { ObjectLockConfiguration: lock } = await client.send(
        new GetObjectLockConfigurationCommand({ Bucket }),
      )
      return [['object lock', lock?.Rule?.DefaultRetention ? 'default retention' : 'off']]
    })
  } finally {
    client.destroy()
  }
  return { unsafe: judgeSettings('Bucket', `bucket ${Bucket}`, found), refused }
}

/** Rules that apply to objects below the prefix. A rule with other filters too may apply, so it counts. */
export function lifecycleOf(rules: readonly LifecycleRule[], prefix: string): [string, string][] {
  const reaching = rules.filter((rule) => rule.Status === 'Enabled' && reaches(rule, prefix))
  const names = (some: LifecycleRule[]) => some.map((rule) => rule.ID ?? 'a rule without a name').join(', ')
  const expiring = reaching.filter((rule) => rule.Expiration?.Days || rule.Expiration?.Date)
  const cooling = reaching.filter((rule) =>
    rule.Transitions?.some((transition) => cold.has(transition.StorageClass ?? '')),
  )
  return [
    ['lifecycle: expiration', names(expiring) || 'none'],
    ['lifecycle: transition', names(cooling) || 'none'],
  ]
}

function reaches(rule: LifecycleRule, prefix: string): boolean {
  const own = rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? rule.Prefix ?? ''
  return own.startsWith(prefix) || prefix.startsWith(own)
}
