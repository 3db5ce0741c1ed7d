import fc from 'fast-check'
import { expect, test } from 'vitest'
import { incarnationOf } from '../../lib/archive/incarnations.ts'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import { byPlace } from '../../lib/archive/key.ts'
import { committable, next, openFrontier, stepFor } from './frontier.ts'

/*
 * Archivers of one partition that are killed, fenced, late and mistaken about being alone, while their log is
 * recreated or loses its tail. The archive is a list in memory; the test interleaves the steps.
 */

/** A record: its offset, and the log that it was first written to. */
interface Row {
  offset: number
  log: number
}
interface Stored {
  key: ArchiveKey
  rows: readonly Row[]
}

const isSame = (a: Row | undefined, b: Row) => a?.offset === b.offset && a.log === b.log

/** Remembers how many objects there were when it listed past dates. */
interface Process {
  listed: number | null
}

class Archive {
  readonly objects: Stored[] = []

  /** The archive as a process sees it: past dates as it listed them once, or again now; the present day as it is. */
  list(process: Process, again: boolean): ArchiveKey[] {
    if (again) process.listed = this.objects.length
    process.listed ??= this.objects.length
    const listed = process.listed
    const seen = this.objects.filter((o, i) => i < listed || o.key.date === 'today')
    return seen.map(({ key }) => key).toSorted(byPlace)
  }

  of(key: ArchiveKey): Stored | undefined {
    return this.objects.find((o) => byPlace(o.key, key) === 0)
  }

  has(row: Row): boolean {
    return this.objects.some(({ rows }) => rows.some((known) => isSame(known, row)))
  }
}

/** One term of ownership: the steps of the sink without its I/O. */
class Term {
  #frontier = openFrontier(0)
  readonly #archive: Archive
  readonly #process: Process
  #open: { incarnation: number; rows: Row[] } | null = null
  #beaten: Row[] = []
  position: number

  constructor(archive: Archive, process: Process, position: number) {
    this.#archive = archive
    this.#process = process
    this.position = position
  }

  /** @returns the last offset that may be committed */
  write(rows: readonly Row[]): number {
    for (const row of rows) {
      this.#frontier = next(this.#frontier, { type: 'record', offset: row.offset })
      this.#advance()
      for (let steps = 0; row.offset > this.#frontier.taken; steps++) {
        if (steps > 100) throw new Error(`It stands still at ${row.offset}`)
        this.#step(row)
        this.#advance()
      }
      this.position = row.offset + 1
    }
    return committable(this.#frontier)
  }

  /** Puts the open object, and takes the records again that a twin's object lacks. */
  age(): number {
    this.#put()
    this.#advance()
    return committable(this.#frontier)
  }

  #advance(): void {
    for (let row = this.#beaten[0]; row; row = this.#beaten[0]) {
      if (row.offset <= this.#frontier.taken) this.#beaten.shift()
      else this.#step(row)
    }
  }

  #step(row: Row): void {
    const { offset } = row
    const step = stepFor(this.#frontier, offset, this.#open?.rows.length !== 7)
    if (step.type === 'list') {
      const { freshness } = step
      const objects = this.#archive.list(this.#process, freshness.past)
      this.#frontier = next(this.#frontier, { type: 'listed', objects, offset, freshness })
    } else if (step.type === 'measure') {
      const last = this.#archive.of(step.key)?.rows.at(-1)?.offset ?? -1
      this.#frontier = next(this.#frontier, { type: 'measured', last })
    } else if (step.type === 'compare') {
      const isHeld = this.#archive.of(step.key)?.rows.some((known) => isSame(known, row)) ?? false
      this.#frontier = next(this.#frontier, { type: 'compared', offset, isHeld })
    } else if (step.type === 'put') this.#put()
    else {
      this.#open ??= { incarnation: this.#frontier.incarnation, rows: [] }
      this.#open.rows.push(row)
      this.#frontier = next(this.#frontier, { type: 'appended', offset })
    }
  }

  #put(): void {
    if (!this.#open) return
    const { incarnation, rows } = this.#open
    this.#open = null
    const first = rows[0]?.offset ?? 0
    // Another log is young: a process does not list past dates for it before a surprise.
    const date = first % 3 === 0 && incarnation === 0 ? 'past' : 'today'
    const key = { topic: 'topic', partition: 0, firstOffset: first, date, incarnation }
    const twin = this.#archive.of(key)
    if (!twin) this.#archive.objects.push({ key, rows })
    const held = twin?.rows ?? rows
    const other = rows.findIndex((row) => !held.some((known) => isSame(known, row)))
    const through = (other === -1 ? rows.at(-1) : rows[other - 1])?.offset ?? first - 1
    this.#frontier = next(this.#frontier, { type: 'put', first, through, isTwin: twin !== undefined, at: 0 })
    this.#beaten.unshift(...rows.filter((row) => row.offset > through))
  }
}

type Deed =
  | { do: 'write'; who: number; count: number }
  | { do: 'age'; who: number }
  | { do: 'rebalance' }
  | { do: 'crash' }
  | { do: 'reset'; to: number }
  | { do: 'again'; from: number }

const who = fc.nat(2)
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('write' as const), who, count: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('age' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('rebalance' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), to: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('again' as const), from: fc.nat(40) }) },
)

/** The partition, its consumer group, and all that write: the owner first, then those that have lost the partition. */
class History {
  readonly archive = new Archive()
  log: Row[]
  #logs = 0
  #committed = 0
  #terms: Term[] = []
  readonly #processes: Process[] = [{ listed: null }, { listed: null }, { listed: null }]

  constructor(offsets: readonly number[]) {
    this.log = offsets.map((offset) => ({ offset, log: 0 }))
    this.#join()
  }

  run(d: Deed): void {
    if (d.do === 'write' || d.do === 'age')
      this.#act(d.who % this.#terms.length, d.do === 'write' ? d.count : 0)
    else {
      // A process that hangs may still wake up, but not after the log has changed.
      if (d.do === 'crash' || d.do === 'reset') this.#terms.shift()
      if (d.do === 'again') this.#make(d.from)
      if (d.do === 'reset') this.#committed = Math.min(this.#committed, d.to)
      this.#join()
    }
    this.#check()
  }

  /** The owner goes on alone until all is archived. */
  finish(): void {
    const end = (this.log.at(-1)?.offset ?? -1) + 1
    for (let turn = 0; this.#committed < end; turn++) {
      if (turn > 200) throw new Error(`It stands still at ${this.#committed} of ${end}`)
      this.#act(0, 20)
      this.#act(0, 0)
      this.#check()
    }
  }

  #act(index: number, count: number): void {
    const term = this.#terms[index]
    if (!term) return
    const batch = this.log.filter((row) => row.offset >= term.position).slice(0, count)
    const through = count > 0 ? term.write(batch) : term.age()
    // Only the owner commits: the group fences all others.
    if (index === 0) this.#committed = Math.max(this.#committed, through + 1)
  }

  /** Replaces the log from an offset on; it is read from its beginning. */
  #make(from: number): void {
    this.#logs++
    this.log = this.log.map((row) => (row.offset < from ? row : { ...row, log: this.#logs }))
    this.#committed = 0
    this.#terms = []
  }

  /** The partition goes from process to process. */
  #join(): void {
    const [process = { listed: null }] = this.#processes
    this.#processes.push(...this.#processes.splice(0, 1))
    this.#terms = [new Term(this.archive, process, this.#committed), ...this.#terms].slice(0, 3)
  }

  #check(): void {
    const objects = this.archive.objects.toSorted((a, b) => byPlace(a.key, b.key))
    for (const [i, { key }] of objects.entries()) {
      const before = objects[i - 1]
      if (!before || incarnationOf(before.key) !== incarnationOf(key)) continue
      expect(before.rows.at(-1)?.offset, 'no overlap').toBeLessThan(key.firstOffset)
    }
    const committed = this.log.filter(({ offset }) => offset < this.#committed)
    expect(committed.filter((row) => !this.archive.has(row))).toEqual([])
  }
}

const offsets = fc
  .uniqueArray(fc.nat(40), { minLength: 1, maxLength: 30, size: 'max' })
  .map((list) => list.sort((a, b) => a - b))

test('whatever is late, fenced or beaten: no hole, no overlap, and no commit beyond what is put', {
  timeout: 30_000,
}, () => {
  fc.assert(
    fc.property(offsets, fc.array(deed, { minLength: 5, maxLength: 40, size: 'max' }), (list, deeds) => {
      const history = new History(list)
      for (const d of deeds) history.run(d)
      history.finish()
    }),
    { numRuns: 200 },
  )
})
