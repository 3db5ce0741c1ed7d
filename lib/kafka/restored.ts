/** Headers of a record that was put back from the archive: where the original lay. */
export const restoreHeaders = {
  topic: 'restore.topic',
  partition: 'restore.partition',
  offset: 'restore.offset',
  timestamp: 'restore.timestamp',
} as const
