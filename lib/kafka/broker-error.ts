/** The broker's name for an error, also within kafkajs's wrappers; empty if there is none. */
export function kafkaErrorType(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('type' in error && typeof error.type === 'string') return error.type
  return kafkaErrorType(error.cause)
}

/** Whether the broker does not know the topic, or not yet. */
export function isUnknownTopic(error: unknown): boolean {
  return kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION'
}

/** Whether kafkajs looked for a topic in metadata that it had requested without it. */
export function isMissedTopic(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'KafkaJSTopicMetadataNotLoaded' || isMissedTopic(error.cause)
}
