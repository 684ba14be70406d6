import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** Milliseconds between two looks for requests that take too long; Node's own default is 30 s. */
const TIMEOUT_CHECK = 2_000

/** Milliseconds without progress after which a refused socket is dropped. */
const REFUSAL_TIMEOUT = 5_000

/** The path of a request, without its query. */
export function requestPath(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

/**
 * Answers an upgrade with an HTTP error and ends the socket.
 *
 * @param message plain text for the body; say nothing that a stranger should not know
 */
export function refuseUpgrade(socket: Socket, status: number, message: string): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  socket.once('finish', () => socket.destroy())
  // A peer that does not read its refusal must not hold up the server's close.
  socket.setTimeout(REFUSAL_TIMEOUT, () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n` +
      'Connection: close\r\n' +
      'Content-Type: text/plain; charset=utf-8\r\n' +
      `Content-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`,
  )
}

/** Options of an HTTP server for the time that a request may take to come, in milliseconds. */
export function requestTimeouts(timeout: number) {
  return {
    headersTimeout: timeout,
    requestTimeout: timeout,
    connectionsCheckingInterval: Math.min(timeout, TIMEOUT_CHECK),
  }
}

/**
 * An HTTP server that serves nothing but upgrades: 426 on its path, 404 elsewhere.
 *
 * @param path where upgrades are taken
 * @param timeout milliseconds in which a request's headers and body must have come
 */
export function createUpgradeServer(path: string, timeout: number): Server {
  return createServer(requestTimeouts(timeout), (request, response) => {
    const found = requestPath(request) === path
    response.writeHead(found ? 426 : 404, {
      'Content-Type': 'text/plain; charset=utf-8',
      ...(found ? { Connection: 'Upgrade, close', Upgrade: 'websocket' } : { Connection: 'close' }),
    })
    response.end(found ? 'Upgrade Required: connect here with a WebSocket client.\n' : 'Not Found\n')
  })
}

/** Binds a server; resolves when it listens and rejects with the cause when it cannot. */
export function listen(
  server: Server,
  options: { port: number; host?: string; backlog?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Host and port for a URL; `localhost` for a server bound to every address. */
export function urlHost({ address, family, port }: AddressInfo): string {
  if (address === '::' || address === '0.0.0.0') return `localhost:${port}`
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
}
