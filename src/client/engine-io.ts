import { Socket, type SocketOptions } from 'engine.io-client'
import type { Frame } from '../codec/codec.js'
import type { ClientLinkHandler, ClientTransport } from './transport.js'

/** Part of what the server takes in one request that `engine.io-client` fills, as it estimates base64 low. */
const PAYLOAD = 0.99

/**
 * Links over Engine.IO, for browsers and Node: long-polling that upgrades to WebSocket.
 *
 * The path of the client's `url` is where the server has Engine.IO; without one it is `/engine.io`.
 *
 * @param options those of `engine.io-client`, such as `transports: ['websocket']` and `extraHeaders`
 * @example
 * const client = createClient({ url: 'http://localhost:3001', transport: engineIo() })
 */
export function engineIo(options: Omit<SocketOptions, 'query' | 'path'> = {}): ClientTransport {
  return {
    open(url, protocols, handler) {
      let socket: Socket
      try {
        socket = openSocket(url, protocols, options)
      } catch (error) {
        // A URL that is none. 1002, as trying again would not change it.
        queueMicrotask(() => handler.closed(1002, (error as Error).message))
        return { send() {}, close() {} }
      }
      let closing: { code: number; reason: string } | undefined
      listen(socket, handler, () => closing)
      return {
        send: frame => void socket.send(frame),
        close: (code, reason) => {
          closing ??= { code, reason }
          socket.close()
        },
      }
    },
  }
}

function openSocket(url: string, protocols: readonly string[], options: SocketOptions): Socket {
  const { protocol, host, pathname, searchParams } = new URL(url)
  const socket = new Socket(`${protocol}//${host}`, {
    ...options,
    ...(pathname !== '/' && { path: pathname }),
    query: { ...Object.fromEntries(searchParams), protocol: protocols.join(',') },
  })
  socket.binaryType = 'arraybuffer'
  return socket
}

function listen(
  socket: Socket,
  handler: ClientLinkHandler,
  closing: () => { code: number; reason: string } | undefined,
): void {
  let problem = ''
  socket.on('handshake', data => {
    data.maxPayload = Math.floor(data.maxPayload * PAYLOAD)
  })
  socket.on('open', () => handler.opened())
  // Empty text comes as nothing at all.
  socket.on('message', (data: unknown) => handler.frame(toFrame(data ?? '')))
  // An error is always followed by a close.
  socket.on('error', error => {
    problem = typeof error === 'string' ? error : error.message
  })
  socket.on('close', (why, details) => {
    const own = closing()
    if (own && why === 'forced close') handler.closed(own.code, own.reason)
    else handler.closed(codeOf(details), problem || (why === 'transport close' ? '' : why))
  })
}

function toFrame(data: unknown): Frame {
  return typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)
}

/** 1005 when the server closed, as Engine.IO has no codes of its own; 1006 when the link broke. */
function codeOf(details: unknown): number {
  const { description, context } = (details ?? {}) as { description?: unknown; context?: unknown }
  const { code } = (context ?? {}) as { code?: unknown }
  if (typeof code === 'number') return code
  return description === 'transport closed by the server' ? 1005 : 1006
}
