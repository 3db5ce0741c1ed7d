import { hash32 } from '../random.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const tailLength = 4
const modulus = 62 ** tailLength
/** Coprime to 62, so multiplication by it modulo 62^4 has an inverse. */
const multiplier = 7_654_321
const inverse = modularInverse(multiplier, modulus)

export const idKinds = { track: 1, album: 2, artist: 3, playlist: 4, account: 5 } as const
export type IdKind = keyof typeof idKinds

/** Entities of one kind that ids can distinguish. */
export const maxEntities = modulus

/**
 * The Spotify id (22 characters of base62, below 2^128) of the n-th entity of a kind. Its last four characters
 * hold the scrambled index, so an id leads to its entity without a table.
 */
export function toId(seed: number, kind: IdKind, index: number): string {
  let text = alphabet.charAt(hash32(seed, idKinds[kind], index, 0) % 7)
  for (let word = 1; text.length < 22 - tailLength; word += 1) {
    text += toBase62(hash32(seed, idKinds[kind], index, word), 5)
  }
  const scrambled = (index * multiplier) % modulus
  return text.slice(0, 22 - tailLength) + toBase62(scrambled, tailLength)
}

/** The index behind an id of that kind, or null if the id is not of this seed and kind. */
export function toIndex(seed: number, kind: IdKind, id: string): number | null {
  if (!isWellFormedId(id)) return null
  let scrambled = 0
  for (const character of id.slice(-tailLength)) scrambled = scrambled * 62 + alphabet.indexOf(character)
  const index = Number((BigInt(scrambled) * inverse) % BigInt(modulus))
  return toId(seed, kind, index) === id ? index : null
}

export function isWellFormedId(id: string): boolean {
  return /^[0-9A-Za-z]{22}$/.test(id)
}

function toBase62(value: number, length: number): string {
  let rest = value
  let text = ''
  for (let place = 0; place < length; place += 1) {
    text = alphabet.charAt(rest % 62) + text
    rest = Math.floor(rest / 62)
  }
  return text
}

/** Extended Euclid; callers pass coprime numbers. */
function modularInverse(value: number, mod: number): bigint {
  let [previous, current] = [BigInt(mod), BigInt(value)]
  let [previousFactor, factor] = [0n, 1n]
  while (current !== 0n) {
    const quotient = previous / current
    ;[previous, current] = [current, previous - quotient * current]
    ;[previousFactor, factor] = [factor, previousFactor - quotient * factor]
  }
  return ((previousFactor % BigInt(mod)) + BigInt(mod)) % BigInt(mod)
}
