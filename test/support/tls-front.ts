import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { pipeline } from 'node:stream'
import { createSecureContext, TLSSocket } from 'node:tls'
import type { Certificates } from './certificates.ts'

/** TLS in front of a server without it, with a certificate that a test changes. */
export interface TlsFront {
  port: number
  /** Sets the certificate of new connections; open ones continue with theirs. */
  present(which: 'valid' | 'expired'): void
  /** Closes every open connection, so that all clients connect again. */
  cut(): void
  close(): Promise<void>
}

export interface TlsFrontOptions {
  /** Port on loopback of the server behind it. */
  target: number
  certificates: Certificates
  /** `postgres` clients first ask for TLS in the clear. */
  speaks: 'postgres' | 'tls'
}

const postgresSslRequest = Buffer.from('0000000804d2162f', 'hex')

export async function openTlsFront(options: TlsFrontOptions): Promise<TlsFront> {
  const { target, certificates, speaks } = options
  let presented: 'valid' | 'expired' = 'valid'
  const sockets = new Set<Socket>()
  const contexts = {
    valid: createSecureContext(certificates.valid),
    expired: createSecureContext(certificates.expired),
  }

  const server = createServer((client) => {
    sockets.add(client)
    client.on('close', () => sockets.delete(client)).on('error', () => client.destroy())
    if (speaks === 'tls') secure(client)
    else
      client.once('data', (first: Buffer) => {
        if (!first.equals(postgresSslRequest)) return client.destroy()
        client.write('S')
        secure(client)
      })
  })

  function secure(client: Socket): void {
    const secured = new TLSSocket(client, { isServer: true, secureContext: contexts[presented] })
    const upstream = connect({ host: '127.0.0.1', port: target })
    sockets.add(upstream)
    upstream.on('close', () => sockets.delete(upstream))
    // An error here is expected: a client that refuses the certificate ends the connection.
    pipeline(secured, upstream, secured, () => client.destroy())
  }

  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    present(which) {
      presented = which
    },
    cut,
    async close() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}
