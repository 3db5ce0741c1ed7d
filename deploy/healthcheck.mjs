/**
 * A container's health check: exits with 0 if this container answers 200 on the given path, `/healthz` by default. It
 * is plain JavaScript and imports only `node:http`, because it starts every few seconds in every container.
 */
import { get } from 'node:http'

const [path = '/healthz', port = process.env.HTTP_PORT] = process.argv.slice(2)
get({ port, path, timeout: 4_000 }, (response) => {
  response.resume()
  process.exitCode = response.statusCode === 200 ? 0 : 1
})
  .on('timeout', function abandon() {
    this.destroy(new Error('no answer'))
  })
  .on('error', (error) => {
    console.error(error.message)
    process.exitCode = 1
  })
