import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import type { TokenKey } from '../config.ts'
import { messageOf } from '../errors.ts'

/** A stored token that the configured keys cannot open: an operator's fault, not the user's. */
export class UnreadableTokenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'UnreadableTokenError'
  }
}

/** Seals users' tokens for the database: compact JWE, `dir` with A256GCM, the key's id in its header. */
export interface TokenCrypto {
  seal(token: string): Promise<string>
  /** @throws UnreadableTokenError for an unknown key id, or a value that is damaged or not a JWE */
  open(sealed: string): Promise<string>
  /** Whether a sealed token uses the first key; the other keys are being retired. */
  isCurrent(sealed: string): boolean
}

/** @param keys `TOKEN_ENCRYPTION_KEYS`: the first one seals, all of them open */
export function createTokenCrypto(keys: readonly TokenKey[]): TokenCrypto {
  const ring = new Map(keys.map(({ kid, key }) => [kid, Buffer.from(key.reveal(), 'base64url')]))
  const [current] = ring
  if (!current) throw new TypeError('At least one token key is needed')
  const [currentKid, currentKey] = current

  return {
    seal: (token) =>
      new CompactEncrypt(Buffer.from(token, 'utf8'))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: currentKid })
        .encrypt(currentKey),

    async open(sealed) {
      const kid = readKeyId(sealed)
      const key = kid === null ? undefined : ring.get(kid)
      if (!key) {
        throw new UnreadableTokenError(
          kid === null
            ? 'A stored token is no JWE with a key id'
            : `A stored token is sealed with key "${kid}", which TOKEN_ENCRYPTION_KEYS does not hold`,
        )
      }
      try {
        const algorithms = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }
        const { plaintext } = await compactDecrypt(sealed, key, algorithms)
        return Buffer.from(plaintext).toString('utf8')
      } catch (error) {
        throw new UnreadableTokenError(
          `A stored token does not open with key "${kid}": ${messageOf(error)}`,
          {
            cause: error,
          },
        )
      }
    },

    isCurrent: (sealed) => readKeyId(sealed) === currentKid,
  }
}

function readKeyId(sealed: string): string | null {
  try {
    const { kid } = decodeProtectedHeader(sealed)
    return typeof kid === 'string' ? kid : null
  } catch {
    return null
  }
}
