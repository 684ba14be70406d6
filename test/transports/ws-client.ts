import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { onTestFinished, vi } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'
import { RecordingHost } from '../../src/testing/recording-host.js'
import type { ConformanceClient } from '../../src/testing/transport-conformance.js'
import type { LinkHandler, Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import type { WsOptions } from '../../src/transports/ws-options.js'

/** Connects a WebSocket client; rejects with `data.status` when the server answers otherwise. */
export async function connectWs(
  url: string,
  handler: Partial<LinkHandler> = {},
  protocols: readonly string[] = [],
  options: ClientOptions = {},
): Promise<ConformanceClient & { socket: WebSocket }> {
  const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false, ...options })
  socket.on('message', (data, binary) => handler.frame?.(binary ? (data as Buffer) : String(data)))
  await new Promise<void>((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => {
        const data = { status: response.statusCode, body: Buffer.concat(chunks).toString() }
        reject(Object.assign(new Error(`Answered ${response.statusCode}`), { data }))
      })
    })
  })
  socket.on('close', (code, reason) => handler.closed?.(code, reason.toString()))
  return {
    socket,
    protocol: socket.protocol,
    send: frame => socket.send(frame),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}

/** Starts a transport on a free port of the loopback, or on the server given, for one test. */
export async function startedWs(options: WsOptions = {}) {
  const own = options.server ? {} : { port: 0, host: '127.0.0.1' }
  const transport = ws({ ...own, ...options })
  const host = new RecordingHost()
  await transport.start(host)
  onTestFinished(async () => {
    vi.useRealTimers()
    await transport.stop()
  })
  return { transport, host, url: urlOf(transport), port: transport.address()?.port ?? 0 }
}

/** Where a started transport listens. */
export function urlOf(transport: Transport): string {
  return transport.address()?.url ?? 'ws://127.0.0.1:1/not-started'
}

/** Lets a server listen on a free port of the loopback, for one test. */
export async function listeningServer<S extends Server | SecureServer>(server: S) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, port: (server.address() as AddressInfo).port }
}

/** A TCP client that speaks the WebSocket protocol by hand. */
export class RawClient {
  readonly socket: net.Socket
  /** All that was received. */
  received = Buffer.alloc(0)
  readonly closed: Promise<unknown>

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1')
    this.socket.on('error', () => undefined)
    this.socket.on('data', chunk => {
      this.received = Buffer.concat([this.received, chunk])
    })
    this.closed = once(this.socket, 'close')
  }

  /** Sends an upgrade request. */
  upgrade(path = '/', headers: Record<string, string> = {}): this {
    const all = {
      Host: '127.0.0.1',
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    return this
  }

  /** Resolves once the upgrade has been answered. */
  async upgraded(): Promise<this> {
    await this.#until(() => this.#body() !== undefined)
    return this
  }

  /** Writes bytes given in hex; blanks are for reading. */
  write(hex: string): void {
    this.socket.write(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  }

  /** The bytes received after the answer to the upgrade, in hex, once there are this many. */
  async frames(size: number): Promise<string> {
    await this.#until(() => (this.#body()?.length ?? 0) >= size)
    return this.#body()?.toString('hex') ?? ''
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!ready()) await once(this.socket, 'data')
  }

  #body(): Buffer | undefined {
    const end = this.received.indexOf('\r\n\r\n')
    return end === -1 ? undefined : this.received.subarray(end + 4)
  }
}
