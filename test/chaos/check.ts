import { headerText } from '../../lib/kafka/record.ts'
import {
  archiveFaults,
  deliveryFaults,
  orderFaults,
  playFaults,
  readPublishedPages,
  readStoredPlays,
} from '../support/verify.ts'
import type { Run } from './run.ts'

/** Totals of a run, and every violated invariant; without faults the stream has survived. */
export interface Verdict {
  pages: number
  plays: number
  deadLetters: number
  faults: Record<string, string[]>
}

/**
 * After the drain, compares the simulator's truth with the topics, Postgres and the archive, in the manner of
 * Jepsen's Kafka workload: no acknowledged page is lost, no play is stored twice, the archive has neither hole nor
 * overlap, the order of each user is kept, committed offsets never go back, and every record is accounted for.
 */
export async function checkRun(run: Run): Promise<Verdict> {
  const { stream, postgres, s3, spotify, users } = run
  const { recentlyPlayed, metadata, deadLetters, groups } = stream.topology
  const pages = await readPublishedPages(stream)
  const stored = await readStoredPlays(postgres)
  const letters = await stream.readTopic(deadLetters.name)
  const archive = { s3, prefix: run.archivePrefix }
  const { rows } = await postgres.query<{ n: number }>('select count(*) as n from plays')
  const poisonLetters = new Set(
    letters
      .filter((l) => headerText(l, 'dlq.group') === groups.loaderHistory)
      .map((l) => `${headerText(l, 'dlq.partition')}/${headerText(l, 'dlq.offset')}`),
  )
  return {
    pages: pages.length,
    plays: stored.size,
    deadLetters: letters.length,
    faults: {
      'delivered, but not published': deliveryFaults(spotify, users, pages),
      'published and stored differ': playFaults(pages, stored),
      'a play twice': rows[0]?.n === stored.size ? [] : [`${rows[0]?.n} rows, ${stored.size} plays`],
      'order of a user’s pages': orderFaults(pages, 'newestPlay'),
      'archive of the pages': await archiveFaults(stream, archive, recentlyPlayed.name),
      'archive of the metadata': await archiveFaults(stream, archive, metadata.name),
      'poison not dead-lettered':
        poisonLetters.size === run.poison() ? [] : [`${run.poison()} in, ${poisonLetters.size} out`],
      'committed offsets gone back': [...run.offsetsGoneBack],
      'users parked for a loss that docs/guarantees.md does not admit': parkedFaults(run),
      'services that died by themselves': [...run.fleet.unexpectedDeaths],
    },
  }
}

/** Users are parked only for tokens that a killed poller could not store. */
function parkedFaults({ parked, lostTokensMax }: Run): string[] {
  const admitted = parked.filter((line) => line.endsWith('invalid_grant'))
  const others = parked.filter((line) => !admitted.includes(line))
  return [...others, ...admitted.slice(lostTokensMax())]
}
