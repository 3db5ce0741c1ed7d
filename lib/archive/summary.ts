/** What an object's S3 metadata say of its rows. */
export interface ObjectSummary {
  firstOffset: number
  lastOffset: number
  recordCount: number
  /** Rows that were taken out when a user was erased: holes between the offsets; absent: none. */
  erasedCount?: number
  /** Of the log that they come from; absent: the first one of the partition. */
  incarnation?: number
}

/** The summary as S3 metadata (without the `x-amz-meta-` that travels before each name). */
export function summaryMetadata(summary: ObjectSummary): Record<string, string> {
  return {
    'first-offset': String(summary.firstOffset),
    'last-offset': String(summary.lastOffset),
    'record-count': String(summary.recordCount),
    ...(summary.erasedCount ? { 'erased-count': String(summary.erasedCount) } : {}),
    ...(summary.incarnation ? { incarnation: String(summary.incarnation) } : {}),
  }
}

/** Reads S3 metadata; null when they are not there (an object copied by a tool that dropped them). */
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
