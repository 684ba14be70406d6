import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { createServer as createSockJs } from 'sockjs'
import { requestPath } from './http.js'
import type { SockJsConnection } from './sockjs-link.js'

/** Path of the package's URLs, which users never see; their own may hold what a pattern would not take. */
const INNER = '/sockjs'

/** Ways to receive, with the method that each takes. */
const RECEIVING: Readonly<Record<string, string>> = {
  xhr: 'POST',
  xhr_streaming: 'POST',
  eventsource: 'GET',
  htmlfile: 'GET',
  jsonp: 'GET',
  websocket: 'GET',
}

/** Requests whose bodies the package reads. */
const SENDING = ['xhr_send', 'jsonp_send', 'chunking_test']

/** A request of SockJS, by its path: `/<server>/<session>/<way>`, or something without a session. */
export interface SockJsRequest {
  /** All past the transport's own path, without the query. */
  readonly rest: string
  readonly query: string
  /** Undefined for a bare WebSocket, and for pages such as `/info`. */
  readonly session: string | undefined
  /** Such as `xhr_send`; empty for what has no session, but `websocket` for a bare one. */
  readonly way: string
  /** Opens a session, or goes on receiving for one. */
  readonly receives: boolean
  /** Has a body that has to be read. */
  readonly sends: boolean
}

/** Whether a request is below a path. */
export function isBelow(path: string, request: IncomingMessage): boolean {
  const asked = requestPath(request)
  return asked === path || asked.startsWith(path.endsWith('/') ? path : `${path}/`)
}

/** Reads what a request below a path wants. */
export function parseRequest(path: string, request: IncomingMessage): SockJsRequest {
  const rest = requestPath(request).slice(path.replace(/\/$/, '').length)
  const query = (request.url ?? '').slice(requestPath(request).length)
  const [, session, way = ''] = /^\/[^/.]+\/([^/.]+)\/([a-z_]+)\/?$/.exec(rest) ?? []
  const bare = /^\/websocket\/?$/.test(rest)
  const name = bare ? 'websocket' : way
  return {
    rest,
    query,
    session,
    way: name,
    receives: Object.hasOwn(RECEIVING, name) && RECEIVING[name] === request.method,
    sends: request.method === 'POST' && (SENDING.includes(name) || /^\/chunking_test\/?$/.test(rest)),
  }
}

/**
 * Whether a page of another origin may be behind a request that browsers send our cookies with.
 *
 * Scripts and iframes are loaded from anywhere and name no `Origin`; our iframe speaks for the page around it.
 */
export function actsForAnother(path: string, request: IncomingMessage, way: string): boolean {
  if (way === 'jsonp' || way === 'htmlfile') return true
  const { referer } = request.headers
  if (referer === undefined || !URL.canParse(referer)) return false
  return new URL(referer).pathname.startsWith(`${path.replace(/\/$/, '')}/iframe`)
}

/** Reads a body; undefined when it has more bytes than the limit, or its client left. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise(resolve => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) chunks.length = 0
      else chunks.push(chunk)
      if (size > limit) resolve(undefined)
    })
    request.on('end', () => resolve(size > limit ? undefined : Buffer.concat(chunks)))
    request.on('close', () => resolve(undefined))
  })
}

/** The `sockjs` package, behind a server of its own that never listens and is handed requests. */
export class SockJsPackage {
  readonly #server: Server = createServer()

  /**
   * @param options by the package's names
   * @param limit bytes in the largest WebSocket message
   */
  constructor(
    options: object,
    limit: number,
    connected: (connection: SockJsConnection) => void,
    log: (line: string) => void,
  ) {
    const all = {
      ...options,
      prefix: INNER,
      faye_server_options: { maxLength: limit },
      log: (_severity: string, line: string) => log(line),
    }
    const sockjs = createSockJs(all)
    sockjs.on('connection', (connection: SockJsConnection) => connected(connection))
    sockjs.installHandlers(this.#server)
  }

  /**
   * Hands over a request.
   *
   * @param token stands for the session, whose own name may be that of another transport's session
   * @param body what was read of it
   */
  request(
    request: IncomingMessage,
    response: ServerResponse,
    wanted: SockJsRequest,
    token: string,
    body?: Buffer,
  ) {
    const url = innerUrl(wanted, token)
    if (body === undefined) {
      request.url = url
      this.#server.emit('request', request, response)
    } else {
      // The package would copy all it has with every chunk that comes; here it gets one.
      const { method, headers, httpVersion, socket } = request
      const whole = Object.assign(Readable.from(body.length > 0 ? [body] : []), {
        url,
        method,
        headers,
        httpVersion,
        socket,
        connection: socket,
      })
      this.#server.emit('request', whole, response)
    }
  }

  /** Hands over an upgrade. */
  upgrade(request: IncomingMessage, head: Buffer, wanted: SockJsRequest, token: string): void {
    request.url = innerUrl(wanted, token)
    this.#server.emit('upgrade', request, request.socket, head)
  }

  /**
   * Ends a session without an open response: by one that breaks at once, as for a client that left.
   *
   * @param over whether the session has ended
   */
  abandon(token: string, over: () => boolean): void {
    // A first response may be filled, and so ended, by what has waited for it.
    for (let attempt = 0; attempt < 2 && !over(); attempt++) {
      const socket = new PassThrough()
      const request = Object.assign(Readable.from([]), {
        url: `${INNER}/0/${token}/xhr_streaming`,
        method: 'POST',
        headers: {},
        httpVersion: '1.1',
        httpVersionMajor: 1,
        httpVersionMinor: 1,
        socket,
        connection: socket,
      })
      const response = new ServerResponse(request as unknown as IncomingMessage)
      this.#server.emit('request', request, response)
      socket.emit('close')
    }
  }
}

/** The session's token in a URL of the package. */
export function tokenOf(url: string): string {
  return /[/?]([0-9a-f-]{36})(?:[/?]|$)/.exec(url)?.[1] ?? ''
}

function innerUrl({ rest, query, session, way }: SockJsRequest, token: string): string {
  if (session !== undefined) return `${INNER}/0/${token}/${way}${query}`
  if (way === 'websocket') return `${INNER}/websocket?${token}`
  return `${INNER}${rest || '/'}${query}`
}
