import { toMissingText } from '../../lib/archive/chain.ts'
import { toCount, toPlural, toUtc } from '../../lib/words.ts'
import type { Receipt } from '../../operations/account/report.ts'
import { toTable, wrap } from '../terminal/table.ts'

/** The receipt as lines for a person. */
export function toReceiptLines(receipt: Receipt, width: number): string[] {
  const { user, executed, at, tables, archive, topics } = receipt
  const who = `user ${user.id}${user.spotifyId === null ? '' : ` (Spotify id ${user.spotifyId})`}`
  const removed = toTable(
    [{ title: executed ? 'REMOVED' : 'TO BE REMOVED' }, { title: '', align: 'right' }],
    [
      ...Object.entries(tables).map(([table, n]) => [`rows of ${table}`, toCount(n)]),
      ['notes on dead letters', toCount(receipt.notes)],
      [`records in ${toPlural(archive.objects, 'object')} of the archive`, toCount(archive.records)],
    ],
    width,
  )
  return [
    executed ? `Receipt: ${who} was erased on ${toUtc(at)}.` : `Of ${who} there is, on ${toUtc(at)}:`,
    '',
    ...removed,
    '',
    ...toRemaining(topics, width),
    ...archive.damaged.map((key) => `Not readable, so not known to be free of the user: ${key}`),
    ...toEnding(receipt).flatMap((line) => wrap(line, width)),
  ]
}

function toRemaining({ held }: Receipt['topics'], width: number): string[] {
  const rows = held
    .filter((t) => t.records > 0)
    .map((t) => [t.topic, toCount(t.records), t.until ? toUtc(t.until).slice(0, 10) : '-'])
  if (rows.length === 0) return ['The topics hold nothing of the user.', '']
  const columns = [
    { title: 'REMAINS IN', shrinks: true },
    { title: 'RECORDS', align: 'right' },
    { title: 'UNTIL AT THE LATEST' },
  ] as const
  return [...toTable(columns, rows, width), '']
}

function toEnding(receipt: Receipt): string[] {
  const { executed, aborted } = receipt
  if (aborted) return ['Interrupted: this is not all. Run the command again.']
  const incomplete = toIncomplete(receipt)
  if (!executed) return [...incomplete, 'Nothing was changed. Erase the user with: --execute']
  return [
    'What remains in the topics is loaded by nobody, and cannot be removed one by one.',
    'Versions that the bucket may keep of the old objects are left to its lifecycle.',
    ...incomplete,
  ]
}

const rangesNamed = 10

/** A line for each reason why something of the user may be left. */
export function toIncomplete({ executed, archive, topics, polling }: Receipt): string[] {
  const reasons: string[] = []
  if (topics.unarchived > 0 && executed) {
    reasons.push(
      `${toPlural(topics.unarchived, 'page')} had not reached the archive yet and will. Run the command again when songswap lag shows the archiver at 0.`,
    )
  }
  if (polling) {
    reasons.push('a poll was under way, and its page may still come. Run the command again later.')
  }
  if (archive.damaged.length > 0) reasons.push('damaged objects, see above.')
  for (const range of archive.missing.slice(0, rangesNamed)) {
    reasons.push(`no object of the archive that was listed holds ${toMissingText(range)}.`)
  }
  if (archive.missing.length > rangesNamed) {
    reasons.push(`and ${toPlural(archive.missing.length - rangesNamed, 'more range')} of offsets.`)
  }
  if (executed && !archive.confirmed) {
    reasons.push('the last listing of the archive still showed objects that changed. Run the command again.')
  }
  return reasons.map((reason) => `NOT COMPLETE: ${reason}`)
}
