/** What an object's S3 metadata say of its rows. */
export interface ObjectSummary {
  firstOffset: number
  lastOffset: number
  recordCount: number
  /** Rows that were taken out when a user was erased: holes between the offsets; absent: none. */
  erasedCount?: number
}

/** The summary as S3 metadata (without the `x-amz-meta-` that travels before each name). */
export function summaryMetadata(summary: ObjectSummary): Record<string, string> {
  return {
    'first-offset': String(summary.firstOffset),
    'last-offset': String(summary.lastOffset),
    'record-count': String(summary.recordCount),
    ...(summary.erasedCount ? { 'erased-count': String(summary.erasedCount) } : {}),
  }
}

/** Reads S3 metadata; null when they are not there (an object copied by a tool that dropped them). */
export function parseSummary(metadata: Record<string, string>): ObjectSummary | null {
  const [firstOffset, lastOffset, recordCount] = ['first-offset', 'last-offset', 'record-count'].map(
    (name) => (/^\d+$/.test(metadata[name] ?? '') ? Number(metadata[name]) : null),
  )
  if (firstOffset == null || lastOffset == null || recordCount == null) return null
  const erased = metadata['erased-count'] ?? ''
  return {
    ...{ firstOffset, lastOffset, recordCount },
    ...(/^[1-9]\d*$/.test(erased) ? { erasedCount: Number(erased) } : {}),
  }
}
