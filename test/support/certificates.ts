import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate of a server on loopback and its key, in PEM. */
interface Certificate {
  cert: string
  key: string
}

export interface Certificates {
  /** Path of the authority's certificate, for `sslrootcert` and NODE_EXTRA_CA_CERTS. */
  caFile: string
  valid: Certificate
  /** Signed by the same authority, and expired since yesterday. */
  expired: Certificate
}

const keyOptions = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** Makes an authority and two certificates in a folder with the openssl command. */
export function makeCertificates(folder: string): Certificates {
  const path = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const [ca, caKey, key, request] = [path('ca.pem'), path('ca.key'), path('server.key'), path('server.csr')]
  openssl(
    'req',
    '-x509',
    ...keyOptions,
    '-keyout',
    caKey,
    '-out',
    ca,
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
  )
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost'
  openssl('req', ...keyOptions, '-keyout', key, '-out', request, '-subj', '/CN=localhost', '-addext', names)
  const sign = (file: string, days: number): Certificate => {
    const signing = ['-CA', ca, '-CAkey', caKey, '-days', String(days), '-copy_extensions', 'copy']
    openssl('x509', '-req', '-in', request, ...signing, '-out', file)
    return { cert: readFileSync(file, 'utf8'), key: readFileSync(key, 'utf8') }
  }
  return { caFile: ca, valid: sign(path('valid.pem'), 2), expired: sign(path('expired.pem'), -1) }
}
