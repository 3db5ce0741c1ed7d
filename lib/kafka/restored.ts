/** Headers of a record that was put back from the archive: where the original lay. */
export const restoreHeaders = {
  topic: 'restore.topic',
  partition: 'restore.partition',
  offset: 'restore.offset',
  timestamp: 'restore.timestamp',
  /** Only from the second log of a partition on. */
  incarnation: 'restore.incarnation',
} as const

/** Header of a page that was made of stored plays: it holds but a part of what Spotify showed. */
export const excerptHeader = 'restore.excerpt'
