import type { Operator, Watch } from '../operator.ts'
import type { Letter, LetterFilter } from './letter.ts'
import { addLetter, matches, toListed } from './letter.ts'
import type { LetterSummary, ListedLetter } from './report.ts'
import { allLetters, readLetters } from './source.ts'

/** Dead letters by reason, consumer group and topic; the group with the latest death first. */
export async function summarizeLetters(
  operator: Operator,
  filter: LetterFilter,
  watch: Watch,
): Promise<LetterSummary[]> {
  const summaries = new Map<string, LetterSummary>()
  await readMatching(operator, { filter, watch }, (letters) => {
    for (const letter of letters) addLetter(summaries, letter)
  })
  return [...summaries.values()].sort((a, b) => b.lastAt.getTime() - a.lastAt.getTime())
}

/** Single dead letters, the latest first, at most `most`. */
export async function listLetters(
  operator: Operator,
  filter: LetterFilter & { most: number },
  watch: Watch,
): Promise<ListedLetter[]> {
  const latest: Letter[] = []
  await readMatching(operator, { filter, watch }, (letters) => {
    latest.push(...letters)
    latest.sort((a, b) => b.diedAt - a.diedAt).splice(filter.most)
  })
  return latest.map(toListed)
}

async function readMatching(
  operator: Operator,
  { filter, watch }: { filter: LetterFilter; watch: Watch },
  onLetters: (letters: Letter[]) => void,
): Promise<void> {
  const broker = await operator.broker()
  const { prefix } = broker.client.config
  await readLetters(operator, {
    ...{ ranges: await allLetters(broker), watch },
    onLetters: async (letters) => onLetters(letters.filter((letter) => matches(letter, filter, prefix))),
  })
}
