import { channel } from 'node:diagnostics_channel'

/**
 * Moments between two durable steps, where the death of the process is worst. The chaos suite kills a process at each:
 * nothing may be lost or doubled.
 */
export const checkpoints = {
  'poller.published': 'The page is in the topic, the state of its user is not moved yet.',
  'poller.refreshed': 'Spotify has given new tokens, perhaps killing the old ones; they are not stored yet.',
  'archiver.put': 'The object is in the bucket, its offsets are not committed yet.',
  'loader.stored': 'The rows are committed, nothing that follows from them is published yet.',
  'loader.wanted': 'Wanted metadata are published, the rows do not say so yet.',
  'alerter.posted': 'Discord has the alert, its offsets are not committed yet.',
  'consumer.settled': 'The effect and its dead letters are durable, the offset is not committed yet.',
} as const

export type Checkpoint = keyof typeof checkpoints

export const checkpointChannel = 'songswap.checkpoint'

const passed = channel(checkpointChannel)

/** Reports that a checkpoint is reached. Without a subscriber, as in production, it costs one comparison. */
export function checkpoint(name: Checkpoint): void {
  if (passed.hasSubscribers) passed.publish(name)
}
