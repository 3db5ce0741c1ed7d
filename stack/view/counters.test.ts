import { describe, expect, test } from 'vitest'
import { addReading, emptyTally, readCounters, toCounterLine, totalOf } from './counters.ts'

const loader = `# HELP songswap_plays_total Items of pages by terminal state.
# TYPE songswap_plays_total counter
songswap_plays_total{result="stored"} 1200
songswap_plays_total{result="duplicate"} 34
songswap_plays_total{result="dropped"} 5
songswap_dead_letters_total{group="loader.history",reason="rejected_item"} 2
process_cpu_seconds_total 1.5
`
const poller = `songswap_polls_total{outcome="ok"} 7
songswap_polls_total{outcome="unauthorized"} 1
songswap_records_published_total{topic="simulated.spotify.recently-played"} 6
songswap_records_published_total{topic="ops.events"} 9
`

describe('the counters of the live view', () => {
  test('are added up over services and labels, and nothing else counts', () => {
    const tallies = [loader, poller].map((text) => addReading(emptyTally, readCounters(text)))
    expect(totalOf(tallies)).toEqual({
      polled: 8,
      published: 6,
      archived: 0,
      stored: 1200,
      duplicates: 34,
      enriched: 0,
      deadLetters: 2,
    })
  })

  test('a label with quotes and braces in it does not confuse them', () => {
    const text = String.raw`songswap_plays_total{odd="a\"}, result=\"stored",result="stored"} 3`
    expect(readCounters(text).stored).toBe(3)
  })

  test('go on counting when a service begins again at zero', () => {
    const stored = (count: number) => readCounters(`songswap_plays_total{result="stored"} ${count}`)
    const tally = [3, 10, 2, 5, 1].reduce((sum, count) => addReading(sum, stored(count)), emptyTally)
    expect(totalOf([tally]).stored).toBe(10 + 5 + 1)
  })

  test('read as one line', () => {
    expect(toCounterLine(readCounters(loader))).toBe(
      'polled 0   published 0   archived 0   stored 1,200   duplicates 34   enriched 0   dead letters 2',
    )
  })
})
