/** The broker's name of an error, wherever kafkajs has wrapped it. */
export function kafkaErrorType(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('type' in error && typeof error.type === 'string') return error.type
  return kafkaErrorType(error.cause)
}

/** Whether the broker does not know the topic, or not yet. */
export function isUnknownTopic(error: unknown): boolean {
  return kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION'
}

/** Whether kafkajs looked for a topic in metadata that were asked for without it. */
export function isMissedTopic(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'KafkaJSTopicMetadataNotLoaded' || isMissedTopic(error.cause)
}
