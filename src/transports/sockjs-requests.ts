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

/** Whether a path is another, or below it. */
export function isBelow(path: string, asked: string): boolean {
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
  // A WebSocket is never opened by our iframe; without a referrer, what else comes may be from it.
  if (way === 'websocket') return false
  if (referer === undefined || !URL.canParse(referer)) return true
  return new URL(referer).pathname.startsWith(`${path.replace(/\/$/, '')}/iframe`)
}

/** The `sockjs` package, behind a server of its own that never listens and is handed requests. */
export class SockJsPackage {
  readonly #server: Server = createServer()
  /** For the answer to the upgrade that is being handed over. */
  #upgradeHeaders: Readonly<Record<string, string>> = {}

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
    const upgradeHeaders = () => this.#upgradeHeaders
    const all = {
      ...options,
      prefix: INNER,
      // The package reads these options anew for each WebSocket.
      faye_server_options: {
        maxLength: limit,
        get headers() {
          return upgradeHeaders()
        },
      },
      log: (_severity: string, line: string) => log(line),
    }
    const sockjs = createSockJs(all)
    sockjs.on('connection', (connection: SockJsConnection | null) => {
      // Of a client that has left in the same turn the package has ended the session already.
      if (connection !== null) connected(connection)
    })
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
    if (wanted.way === 'htmlfile') keepInScript(response)
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

  /**
   * Hands over an upgrade.
   *
   * @param headers for its answer
   */
  upgrade(
    request: IncomingMessage,
    head: Buffer,
    wanted: SockJsRequest,
    token: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const { url } = request
    request.url = innerUrl(wanted, token)
    if (wanted.session !== undefined) whenParsed(request, () => Object.assign(request, { url }))
    this.#upgradeHeaders = headers
    this.#server.emit('upgrade', request, request.socket, head)
    this.#upgradeHeaders = {}
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

/**
 * Keeps messages from ending the script that each frame of htmlfile is, and from beginning one of their own.
 *
 * The package leaves `</script>` in them as it is.
 */
function keepInScript(response: ServerResponse): void {
  const write = response.write.bind(response) as (text: string) => boolean
  response.write = (text: string) => {
    const [, frame] = /^<script>\np\((.*)\);\n<\/script>\r\n$/s.exec(text) ?? []
    return write(frame === undefined ? text : text.replace(frame, () => frame.replaceAll('<', '\\u003c')))
  }
}

/** The token that a session of the package was opened with. */
export function tokenOf({ pathname, url }: Pick<SockJsConnection, 'pathname' | 'url'>): string {
  // First the path: a WebSocket's URL is the client's own, with a name that may look like a token.
  for (const place of [pathname, url]) {
    const [, token] = /[/?]([0-9a-f-]{36})(?:[/?]|$)/.exec(place) ?? []
    if (token !== undefined) return token
  }
  return ''
}

/**
 * Calls back when the package has read a request's URL, and goes by its `pathname` from then on.
 *
 * WebSockets of the first drafts are told their URL, which has to be the one that they asked for.
 */
function whenParsed(request: IncomingMessage, parsed: () => void): void {
  Object.defineProperty(request, 'pathname', {
    configurable: true,
    set(value: string) {
      Object.defineProperty(request, 'pathname', { value, writable: true })
      parsed()
    },
  })
}

function innerUrl({ rest, query, session, way }: SockJsRequest, token: string): string {
  if (session !== undefined) return `${INNER}/0/${token}/${way}${query}`
  if (way === 'websocket') return `${INNER}/websocket?${token}`
  return `${INNER}${rest || '/'}${query}`
}
