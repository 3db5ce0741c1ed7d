import type { Notice } from '../../lib/events.ts'

/** The first record of an incarnation. */
export interface Begins {
  topic: string
  partition: number
  incarnation: number
  offset: number
}

export function incarnationNotice({ topic, partition, incarnation, offset }: Begins): Notice {
  return {
    type: 'archive_incarnation',
    subject: `topic:${topic}`,
    severity: 'warning',
    message: `The archive holds other records from offset ${offset} of ${topic}/${partition} on: the topic was made again, or its broker lost the end of the log. What follows is archived as incarnation ${incarnation} of the partition; nothing that is archived moves.`,
    details: { partition: String(partition), incarnation: String(incarnation), offset: String(offset) },
  }
}
