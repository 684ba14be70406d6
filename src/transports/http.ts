import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
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

/** The parameters in the query of a request. */
export function requestQuery(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams(request.url?.slice(requestPath(request).length) ?? '')
}

/**
 * Reads a body; undefined when it has more bytes than the limit, or did not come whole.
 *
 * The rest of one that is too large is read and thrown away: its client would not hear the answer else.
 *
 * @param timeout milliseconds after which the connection of a body that still comes is dropped; 0: never
 */
export async function readBody(
  request: IncomingMessage,
  limit: number,
  timeout = 0,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise(resolve => {
    const late = timeout > 0 ? setTimeout(() => request.socket.destroy(), timeout) : undefined
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) chunks.length = 0
      else chunks.push(chunk)
      if (size > limit) resolve(undefined)
    })
    request.on('end', () => {
      clearTimeout(late)
      resolve(size > limit ? undefined : Buffer.concat(chunks))
    })
    request.on('close', () => {
      clearTimeout(late)
      resolve(undefined)
    })
  })
}

/**
 * Answers a request with an HTTP error.
 *
 * A connection whose body nobody reads is closed with it.
 *
 * @param message plain text for the body; say nothing that a stranger should not know
 * @param headers more of the answer, such as `Retry-After`
 */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) return
  if (response.req.readableFlowing === null) response.setHeader('Connection', 'close')
  response.writeHead(status, { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }).end(message)
}

/**
 * Answers an upgrade with an HTTP error and ends the socket.
 *
 * @param message plain text for the body, if any; say nothing that a stranger should not know
 * @param headers more of the answer, such as `Allow`; names and values must be such as HTTP allows
 */
export function refuseUpgrade(
  socket: Socket,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  socket.once('finish', () => socket.destroy())
  // A peer that does not read its refusal must not hold up the server's close.
  socket.setTimeout(REFUSAL_TIMEOUT, () => socket.destroy())
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n` +
      'Connection: close\r\n' +
      more.join('') +
      (message === '' ? '' : 'Content-Type: text/plain; charset=utf-8\r\n') +
      `Content-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`,
  )
}

/** Bytes of a request's headers, its cookies among them; Node's own default, unless its flags say otherwise. */
const MAX_HEADER_SIZE = 16 * 1024

/** Requests after which a connection is closed, so that whoever polls is spread anew now and then. */
const REQUESTS_PER_SOCKET = 10_000

/** An HTTP server with bounds; a request has this many milliseconds to come in. */
export function boundedServer(timeout: number): Server {
  const server = createServer({
    headersTimeout: timeout,
    requestTimeout: timeout,
    connectionsCheckingInterval: Math.min(timeout, TIMEOUT_CHECK),
    maxHeaderSize: MAX_HEADER_SIZE,
  })
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET
  return server
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
