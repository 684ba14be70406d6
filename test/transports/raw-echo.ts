import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { expect } from 'vitest'
import type { Link, TransportHost } from '../../src/transports/transport.js'

/** A host that sends every frame back; nothing else is needed of one. */
export function echoHost(connected: (link: Link) => void = () => undefined): TransportHost {
  return {
    authorize: () => ({ accept: true }),
    connect(link) {
      connected(link)
      return { frame: frame => void link.send(frame), drained() {}, closed() {} }
    },
    log() {},
  }
}

/** An HTTP server on a free port of the loopback, that answers what nobody takes with `fallback`. */
export async function pageServer(): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => response.writeHead(404).end('fallback'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

/** A TCP client that says bytes by hand and keeps all that it hears. */
export class Peer {
  readonly socket: net.Socket
  readonly #closed: Promise<unknown>
  #heard = Buffer.alloc(0)
  #over = false

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1' })
    this.socket.on('error', () => undefined)
    this.socket.on('data', chunk => {
      this.#heard = Buffer.concat([this.#heard, chunk])
    })
    this.#closed = once(this.socket, 'close').then(() => {
      this.#over = true
    })
  }

  /** All bytes heard so far. */
  get bytes(): Buffer {
    return this.#heard
  }

  /** All heard so far, a character for each byte. */
  get heard(): string {
    return this.#heard.toString('latin1')
  }

  say(what: string | Uint8Array): this {
    this.socket.write(what)
    return this
  }

  /** Resolves once this has been heard since a position, or the server has closed. */
  async until(wanted: string | RegExp | ((heard: string) => boolean), from = 0): Promise<string> {
    const found = () => {
      const heard = this.heard.slice(from)
      if (typeof wanted === 'function') return wanted(heard)
      return typeof wanted === 'string' ? heard.includes(wanted) : wanted.test(heard)
    }
    while (!found() && !this.#over) await Promise.race([once(this.socket, 'data'), this.#closed])
    return this.heard
  }

  /** Resolves once the server has closed, with all it said. */
  async end(): Promise<string> {
    await this.#closed
    return this.heard
  }

  leave(): void {
    this.socket.destroy()
  }
}

/** The bytes of an HTTP request; without a `Connection` of its own the answer ends the connection. */
export function http(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
  version = '1.1',
): Buffer {
  const all = {
    Host: 'localhost',
    Connection: 'close',
    ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) }),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body ?? '')])
}

/** Sends one request; resolves with the whole answer. */
export function exchange(port: number, ...request: Parameters<typeof http>): Promise<string> {
  return new Peer(port).say(http(...request)).end()
}

/** An answer in parts, the names of its headers in small letters. */
export function parsed(answer: string) {
  const end = answer.indexOf('\r\n\r\n')
  const [first = '', ...lines] = answer.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const body = answer.slice(end + 4)
  const chunked = headers['transfer-encoding'] === 'chunked'
  return { status: Number(first.split(' ')[1]), headers, body: chunked ? unchunked(body) : body }
}

function unchunked(body: string): string {
  let text = ''
  let at = 0
  for (;;) {
    const end = body.indexOf('\r\n', at)
    const size = end === -1 ? 0 : Number.parseInt(body.slice(at, end), 16)
    if (size === 0) return text
    text += body.slice(end + 2, end + 2 + size)
    at = end + 4 + size
  }
}

/** Both ports of a comparison: that of the transport, and that of the plain package. */
export interface Ports {
  readonly ours: number
  readonly control: number
}

/**
 * Holds the same conversation with both; expects the same answers but for clocks and chance.
 *
 * @param leaveOut names of headers that may differ, in small letters
 */
export async function alike<T extends string | readonly string[]>(
  { ours, control }: Ports,
  talk: (port: number, which: 'ours' | 'control') => Promise<T>,
  leaveOut: readonly string[] = [],
): Promise<T> {
  const [mine, theirs] = await Promise.all([talk(ours, 'ours'), talk(control, 'control')])
  expect(tidied(mine, leaveOut)).toEqual(tidied(theirs, leaveOut))
  return mine
}

function tidied(heard: string | readonly string[], leaveOut: readonly string[]): unknown {
  if (typeof heard !== 'string') return heard.map(one => tidied(one, leaveOut))
  const end = heard.indexOf('\r\n\r\n')
  const text = end === -1 ? heard : `${tidyHead(heard.slice(0, end), leaveOut)}${heard.slice(end)}`
  return text
    .replaceAll(/(\\?"sid\\?":\\?")[\w-]{20}/g, '$1*')
    .replaceAll(/[\da-f]+\r\n(\{"websocket":.*"entropy":)\d+/g, '$1')
}

/** The head of an answer, its headers in the order of their names. */
function tidyHead(head: string, leaveOut: readonly string[]): string {
  const [first, ...lines] = head.split('\r\n')
  const kept = lines
    .map(line => line.replace(/^[^:]+/, name => name.toLowerCase()))
    .filter(line => !['date', 'expires', ...leaveOut].includes(line.slice(0, line.indexOf(':'))))
  return [first, ...kept.sort()].join('\n')
}
