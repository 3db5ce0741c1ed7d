/** Headers of a record that was put back from the archive: the place of the original. */
export const restoreHeaders = {
  topic: 'restore.topic',
  partition: 'restore.partition',
  offset: 'restore.offset',
  timestamp: 'restore.timestamp',
  /** Absent for the first log of a partition. */
  incarnation: 'restore.incarnation',
} as const

/** Header of a page that was made from stored plays: it holds only a part of what Spotify showed. */
export const excerptHeader = 'restore.excerpt'
