import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { describeBrowser } from '../support/browser.js'

const script = readFileSync(createRequire(import.meta.url).resolve('sockjs-client/dist/sockjs.js'))

/** A page that loads `sockjs-client` from the server it comes from, with an echo on `/echo`. */
async function startedPage() {
  const server = createServer((request, response) => {
    if (request.url === '/sockjs.js') response.setHeader('Content-Type', 'text/javascript').end(script)
    else response.setHeader('Content-Type', 'text/html').end('<script src="/sockjs.js"></script>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const transport = sockjs({ server, prefix: '/echo', sockjs_url: '/sockjs.js', origins: '*' })
  const host = new RecordingHost()
  host.onconnect = ({ link, recorder }) => {
    recorder.onframe = frame => {
      if (frame === 'end') link.close(3000, 'Go away!')
      else link.send(frame)
    }
  }
  await transport.start(host)
  onTestFinished(async () => {
    await transport.stop()
    server.close()
    server.closeAllConnections()
  })
  return { host, port }
}

/** What a browser is told of the client under test; `sockjs-client` is a script there. */
type SockJs = new (
  url: string,
  protocols: undefined,
  options: object,
) => {
  transport: string
  onopen(): void
  onmessage(event: { data: string }): void
  onclose(event: { code: number; reason: string }): void
  send(text: string): void
}

const WAYS = [
  'websocket',
  'xhr-streaming',
  'xhr-polling',
  'eventsource',
  'iframe-eventsource',
  'iframe-htmlfile',
  'iframe-xhr-polling',
  'jsonp-polling',
]

/** Those that `sockjs-client` has for pages of other hosts only. */
const FOREIGN = new Set(['iframe-eventsource', 'iframe-htmlfile', 'iframe-xhr-polling'])

describeBrowser('sockjs-client in a browser', browser => {
  test.each(WAYS)('echoes and is closed with the code, by %s', { timeout: 60_000 }, async way => {
    const { host, port } = await startedPage()
    const page = await browser().newPage()
    onTestFinished(() => page.close())
    await page.goto(`http://127.0.0.1:${port}/`)
    const base = `http://${FOREIGN.has(way) ? 'localhost' : '127.0.0.1'}:${port}/echo`
    const frames = ['hello', 'grüße €👋 \u2028 </script>', 'x'.repeat(10_000)]
    const seen = await page.evaluate(
      ([url, transports, sent]) =>
        new Promise<{ transport: string; got: string[]; code: number; reason: string }>(resolve => {
          const { SockJS } = globalThis as unknown as { SockJS: SockJs }
          // Its own timeouts follow a round trip to /info, and are short.
          const socket = new SockJS(url, undefined, { transports: [transports], timeout: 30_000 })
          const got: string[] = []
          let transport = ''
          socket.onopen = () => {
            transport = socket.transport
            for (const text of sent) socket.send(text)
          }
          socket.onmessage = ({ data }) => {
            if (got.push(data) === sent.length) socket.send('end')
          }
          socket.onclose = ({ code, reason }) => resolve({ transport, got, code, reason })
        }),
      [base, way, frames] as const,
    )
    expect(seen).toEqual({ transport: way, got: frames, code: 3000, reason: 'Go away!' })
    expect(host.links).toHaveLength(1)
  })
})
