/** Describes an object's rows, in its S3 metadata. */
export interface ObjectSummary {
  firstOffset: number
  lastOffset: number
  recordCount: number
  /** Rows that were removed when a user was erased, which leaves holes in the offsets; absent if there are none. */
  erasedCount?: number
  /** Number of the log that the rows come from; absent for the partition's first log. */
  incarnation?: number
}

/** The summary as S3 metadata, without the prefix `x-amz-meta-`. */
export function summaryMetadata(summary: ObjectSummary): Record<string, string> {
  return {
    'first-offset': String(summary.firstOffset),
    'last-offset': String(summary.lastOffset),
    'record-count': String(summary.recordCount),
    ...(summary.erasedCount ? { 'erased-count': String(summary.erasedCount) } : {}),
    ...(summary.incarnation ? { incarnation: String(summary.incarnation) } : {}),
  }
}

/** Reads S3 metadata; null when they are missing, as in an object copied by a tool that drops them. */
export function parseSummary(metadata: Record<string, string>): ObjectSummary | null {
  const [firstOffset, lastOffset, recordCount] = ['first-offset', 'last-offset', 'record-count'].map(
    (name) => (/^\d+$/.test(metadata[name] ?? '') ? Number(metadata[name]) : null),
  )
  if (firstOffset == null || lastOffset == null || recordCount == null) return null
  const [erasedCount, incarnation] = ['erased-count', 'incarnation'].map((name) =>
    /^[1-9]\d*$/.test(metadata[name] ?? '') ? Number(metadata[name]) : null,
  )
  return {
    ...{ firstOffset, lastOffset, recordCount },
    ...(erasedCount && { erasedCount }),
    ...(incarnation && { incarnation }),
  }
}
