import type { DeadLetter, DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { MetadataKind, SpotifyResponse } from '../../lib/topology.ts'
import { metadataKey } from '../../lib/topology.ts'
import type { FeatureName, FeaturesRow } from './catalogue.ts'
import { dayOf, featureNames } from './catalogue.ts'
import type { JsonObject } from './fields.ts'
import { float32Of, isObject, storable } from './fields.ts'
import { isTime, parseJson } from './page.ts'
import { meanings, said } from './said.ts'
import { toSeenTrack } from './seen-track.ts'
import { Sightings } from './sightings.ts'

/** A batch of metadata answers: each record is found, not found, or a dead letter. */
export interface EntityBatch {
  seen: Sightings
  deadLetters: readonly DeadLetter[]
  counts: { found: number; notFound: number }
}

/** Header that names the source of an answer: `spotify` or `reccobeats`. */
const providerHeader = 'provider'

const kinds: readonly MetadataKind[] = ['track', 'artist', 'audio-features']
/** 404: the entity does not exist. 400: Spotify calls an id invalid that it never issued. */
const notFoundStatuses = [400, 404]
/** Longest id that is looked up or stored. */
const maxIdLength = 100

type EntityResult =
  | { type: 'found' | 'not-found' }
  | { type: 'dead-letter'; reason: DeadLetterReason; message: string }

/** Turns records of `spotify.metadata` into rows. */
export function toEntities(records: readonly ValueRecord<SpotifyResponse>[]): EntityBatch {
  const sightings = new Sightings()
  const deadLetters: DeadLetter[] = []
  const counts = { found: 0, notFound: 0 }
  for (const record of records) {
    const result = addEntity(sightings, record)
    if (result.type === 'dead-letter') {
      deadLetters.push({ record, reason: result.reason, message: result.message })
    } else if (result.type === 'found') counts.found++
    else counts.notFound++
  }
  return { seen: sightings, deadLetters, counts }
}

function addEntity(sightings: Sightings, record: ValueRecord<SpotifyResponse>): EntityResult {
  const { endpoint, subject, status, body, fetchedAt } = record.value
  const kind = kinds.find((k) => k === endpoint)
  if (!kind) return deadLetter('unknown_kind', `The endpoint is "${endpoint.slice(0, 40).toWellFormed()}"`)
  if (record.key?.toString('utf8') !== metadataKey(kind, subject)) {
    return deadLetter('invalid_key', `The key is not ${kind}: and the subject`)
  }
  if (subject === '' || subject.length > maxIdLength || storable(subject) !== subject) {
    return deadLetter('invalid_record', 'The subject is no id')
  }
  if (!isTime(fetchedAt)) return deadLetter('invalid_record', `fetchedAt is ${fetchedAt}`)
  if (notFoundStatuses.includes(status)) {
    addFinding(sightings, kind, subject, 'not_found')
    return { type: 'not-found' }
  }
  if (status !== 200) return deadLetter('unexpected_status', `The status is ${status}`)

  const parsed = parseJson(body)
  if (parsed.type === 'invalid') return deadLetter('invalid_json', parsed.message)
  if (!isEntity(kind, parsed.json)) return deadLetter('invalid_entity', `The body is no ${kind}`)
  const provider = storable(headerText(record, providerHeader) ?? 'spotify')
  addFound(sightings, { kind, id: subject, entity: parsed.json, fetchedAt, provider })
  return { type: 'found' }
}

/**
 * Stores an entity under the id that was asked for: Spotify may answer with a replacement track under another id.
 */
function addFound(
  sightings: Sightings,
  found: { kind: MetadataKind; id: string; entity: JsonObject; fetchedAt: number; provider: string },
): void {
  const { kind, id, entity, fetchedAt, provider } = found
  const fetched = { at: fetchedAt, day: dayOf(fetchedAt) }
  if (kind === 'track') sightings.addTrack(toSeenTrack(id, entity), fetched)
  if (kind === 'artist') sightings.addArtist(id, entity, fetched)
  if (kind === 'audio-features') {
    sightings.addFeatures({ trackId: id, values: toFeatures(entity), provider, fetchedAt })
  }
  addFinding(sightings, kind, id, 'found')
}

function addFinding(
  sightings: Sightings,
  kind: MetadataKind,
  id: string,
  finding: 'found' | 'not_found',
): void {
  if (kind === 'artist') sightings.addArtistFinding(id, finding)
  else sightings.addTrackFinding(id, kind === 'track' ? 'metadata' : 'features', finding)
}

function isEntity(kind: MetadataKind, json: unknown): json is JsonObject {
  if (!isObject(json)) return false
  if (kind === 'audio-features') return featureNames.some((name) => typeof json[name] === 'number')
  return typeof json.name === 'string'
}

/** Spotify and ReccoBeats use the same names; ReccoBeats has no `time_signature`. */
function toFeatures(entity: JsonObject): FeaturesRow['values'] {
  const rule = meanings.audioFeatures.feature
  const values = featureNames.map((name) => {
    const read = wholeFeatures.has(name) ? int16Of : float32Of
    return [name, said(rule, entity[name], read) ?? undefined] as const
  })
  return Object.fromEntries(values) as FeaturesRow['values']
}

const wholeFeatures: ReadonlySet<FeatureName> = new Set(['key', 'mode', 'time_signature'])

function int16Of(value: unknown): number | null {
  const number = float32Of(value)
  if (number === null || !Number.isInteger(number)) return null
  return number >= -32_768 && number <= 32_767 ? number : null
}

function deadLetter(reason: DeadLetterReason, message: string): EntityResult {
  return { type: 'dead-letter', reason, message }
}
