import { Agent, get, type IncomingHttpHeaders, request } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { Socket, type SocketOptions } from 'engine.io-client'
import { onTestFinished } from 'vitest'
import { RecordingHost } from '../../src/testing/recording-host.js'
import type { ConformanceClient } from '../../src/testing/transport-conformance.js'
import { type EngineIoOptions, engineio } from '../../src/transports/engine-io.js'
import type { LinkHandler, Transport } from '../../src/transports/transport.js'

/** Makes the connections of one client, and cuts them all. */
class CuttingAgent extends Agent {
  /** What the first answer said in the header with the subprotocol. */
  protocol = ''
  readonly #sockets = new Set<Duplex>()
  #cut = false

  override createConnection(options: net.NetConnectOpts): Duplex {
    const socket = this.#cut ? new net.Socket().destroy() : net.connect(options)
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      this.protocol ||= /SocketStream-Protocol: (\S+)/i.exec(chunk.toString('latin1'))?.[1] ?? ''
    })
    return socket
  }

  cut(): void {
    this.#cut = true
    // Behind the poll that is being sent: a client gone between two polls is missed only at the next ping.
    setImmediate(() => {
      for (const socket of this.#sockets) socket.end()
    })
  }
}

/** Connects a client of `engine.io-client`; rejects with `data.status` when the server refuses. */
export async function connectEngineIo(
  url: string,
  handler: Partial<LinkHandler> = {},
  protocols: readonly string[] = [],
  options: SocketOptions = {},
): Promise<ConformanceClient & { socket: Socket }> {
  const { origin, pathname } = new URL(url)
  const agent = new CuttingAgent()
  const socket = new Socket(origin, {
    path: pathname,
    query: { protocol: protocols.join(',') },
    // It takes an agent, whatever its types say.
    agent: agent as unknown as boolean,
    ...options,
  })
  socket.on('handshake', data => {
    // It estimates base64 low.
    data.maxPayload = Math.floor(data.maxPayload * 0.99)
  })
  socket.on('message', (data: unknown) => handler.frame?.((data ?? '') as string | Buffer))
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', error =>
      reject(Object.assign(error as Error, { data: { status: statusOf(error) } })),
    )
  })
  socket.on('close', () => handler.closed?.(1006, ''))
  return {
    socket,
    protocol: agent.protocol,
    send: frame => socket.send(frame),
    close: () => socket.close(),
    terminate: () => agent.cut(),
    // Nothing reads but the system's buffers can be relied on to fill: polling has no way to pause.
    pause: () => undefined,
    resume: () => undefined,
  }
}

/** The status that a poll was answered with, or that `ws` names for a failed upgrade. */
function statusOf(error: unknown): number {
  const { description, context } = error as { description?: unknown; context?: unknown }
  if (typeof description === 'number') return description
  const text = String((description as { message?: unknown } | undefined)?.message ?? context)
  return Number(/response: (\d+)/.exec(text)?.[1])
}

/** Starts a transport on a free port of the loopback, or on the server given, for one test. */
export async function startedEngineIo(options: EngineIoOptions = {}) {
  const own = options.server ? {} : { port: 0, host: '127.0.0.1' }
  const transport = engineio({ ...own, ...options })
  const host = new RecordingHost()
  await transport.start(host)
  onTestFinished(() => transport.stop())
  return { transport, host, url: urlOf(transport), port: transport.address()?.port ?? 0 }
}

/** Where a started transport listens. */
export function urlOf(transport: Transport): string {
  return transport.address()?.url ?? 'http://127.0.0.1:1/engine.io'
}

/** Sends one HTTP request, by hand. */
export function ask(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const send = method === 'GET' ? get : request
    const sent = send(url, { method, headers, agent: false }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status, headers } = response
        resolve({ status, headers, body: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
