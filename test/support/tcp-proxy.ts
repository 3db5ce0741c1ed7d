import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

/** How a link behaves. */
export type LinkMode =
  /** Passes everything. */
  | { type: 'open' }
  /** Passes everything `ms` later. */
  | { type: 'delay'; ms: number }
  /** Refuses new connections; open ones stay. */
  | { type: 'refuse' }
  /** Passes the client's data and drops the answers. */
  | { type: 'half' }
  /** Drops everything and closes nothing, like a broken cable. */
  | { type: 'silent' }
  /** Answers every new session with an error of Postgres' protocol, as a pooler does whose server is down. */
  | { type: 'pooler'; sqlState: string; message: string }

export interface TcpProxy {
  port: number
  /** Where new connections lead from now on. */
  retarget(port: number): void
  setMode(mode: LinkMode): void
  /** Resets every open connection. */
  cut(): void
  close(): Promise<void>
}

/** A TCP link on loopback whose faults a test controls. */
export async function openTcpProxy(target: { port: number }): Promise<TcpProxy> {
  let targetPort = target.port
  let mode: LinkMode = { type: 'open' }
  const pairs = new Set<[Socket, Socket]>()

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (mode.type === 'refuse') {
      client.resetAndDestroy()
      return
    }
    if (mode.type === 'pooler') {
      const answer = toFatal(mode)
      client.once('data', () => client.end(answer)).on('error', () => client.destroy())
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true })
    const pair: [Socket, Socket] = [client, upstream]
    pairs.add(pair)
    const drop = () => {
      pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    relay(client, upstream, () => mode.type !== 'silent')
    relay(upstream, client, () => mode.type !== 'silent' && mode.type !== 'half')
    for (const socket of pair) socket.on('error', drop).on('close', drop)
  })

  function relay(from: Socket, to: Socket, passes: () => boolean): void {
    const later = (act: () => void) => {
      if (mode.type === 'delay') setTimeout(act, mode.ms)
      else act()
    }
    from.on('data', (chunk: Buffer) => {
      if (passes()) later(() => to.writable && to.write(chunk))
    })
    from.on('end', () => later(() => to.end()))
  }

  const cut = () => {
    for (const [client, upstream] of pairs) {
      client.resetAndDestroy()
      upstream.destroy()
    }
    pairs.clear()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    retarget(port) {
      targetPort = port
    },
    setMode(next) {
      mode = next
    },
    cut,
    async close() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}

/** ErrorResponse of Postgres' protocol, with severity FATAL. */
function toFatal({ sqlState, message }: { sqlState: string; message: string }): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`)
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}
