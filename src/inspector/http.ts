import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasCode, SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { readBody, refuseUpgrade, requestPath, requestQuery } from '../transports/http.js'
import type { HttpRoute } from '../transports/transport.js'
import type { Access } from './access.js'
import { METHODS } from './api.js'
import type { Inspector } from './inspector.js'
import { loginPage } from './login-page.js'
import { answerFile, HEADERS, isPageFile } from './page-files.js'
import type { Action, TraceOptions } from './protocol/index.js'
import type { InspectorSocket } from './socket.js'

const MAX_BODY = 64 * 1024
const BODY_TIMEOUT = 10_000
/** Seconds that one request may trace. */
const MAX_TRACE = 60

const STATUS: Readonly<Record<string, number>> = {
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  INVALID_ARGUMENTS: 400,
  MAILBOX_FULL: 503,
  OVERLOADED: 503,
}

/** What the route is made of. */
export interface RouteInit {
  readonly inspector: Inspector
  readonly access: Access
  readonly socket: InspectorSocket
  readonly path: string
  readonly log: Logger
}

/** The inspector on an HTTP server: its page, its JSON and its WebSocket, all behind one door. */
export class InspectorRoute implements HttpRoute {
  readonly #init: RouteInit

  constructor(init: RouteInit) {
    this.#init = init
  }

  takes(path: string): boolean {
    return path === this.#init.path || path.startsWith(`${this.#init.path}/`)
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(request, response).catch(error => {
      this.#init.log.error('the inspector failed', { error, url: request.url })
      if (response.headersSent) response.destroy()
      else failure(response, 500, 'INTERNAL', 'the inspector failed; the log of the server says why')
    })
  }

  upgrade(request: IncomingMessage, head: Buffer): void {
    const { path, access, socket, log } = this.#init
    // Undecided for a moment: what arrives meanwhile belongs to whoever takes it.
    access.decide(request, true).then(
      decision => {
        if (!request.socket.writable) request.socket.destroy()
        else if (!decision.allowed) refuseUpgrade(request.socket, decision.status, `${decision.message}\n`)
        else if (requestPath(request) !== `${path}/socket`) refuseUpgrade(request.socket, 404, 'Not Found\n')
        else socket.upgrade(request, head)
      },
      error => {
        log.error('the inspector failed', { error })
        refuseUpgrade(request.socket, 500, 'The server failed; its log says why.\n')
      },
    )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { access, path } = this.#init
    const { method } = request
    const name = requestPath(request).slice(path.length + 1)
    if (requestPath(request) === path) return void redirect(response, `${path}/`)
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST')
      return failure(response, 405, 'BAD_METHOD', 'only GET, HEAD and POST are answered here', {
        Allow: 'GET, HEAD, POST',
      })
    if (name === 'login' && method === 'POST') return this.#login(request, response)
    const decision = await access.decide(request, method === 'POST')
    if (!decision.allowed) {
      const isPage = name === '' && method !== 'POST' && access.hasLogin
      if (isPage) return loginPage(request, response, path, 401)
      const challenge = decision.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}
      return failure(response, decision.status, decision.code, decision.message, challenge)
    }
    if (method === 'POST') return this.#post(name, request, response)
    const file = name === '' ? 'index.html' : name
    if (isPageFile(file)) {
      if (await answerFile(file, request, response)) return
      return failure(response, 404, 'NOT_FOUND', `${file} was not built: run npm run build in the package`)
    }
    if (name.startsWith('api/')) return this.#api(name.slice(4), request, response)
    return failure(response, 404, 'NOT_FOUND', 'there is nothing here')
  }

  async #login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { access, path } = this.#init
    // Whoever may not come here by another rule may not by this one: the page is looked at, the token follows.
    const decision = await access.decide(request, true)
    if (!decision.allowed && decision.status === 403)
      return failure(response, 403, decision.code, decision.message)
    const body = await readBody(request, 4096, BODY_TIMEOUT)
    const token = new URLSearchParams(body?.toString() ?? '').get('token') ?? ''
    const cookie = access.login(request, token)
    if (cookie === undefined) return loginPage(request, response, path, 401, 'This is not the token.')
    redirect(response, `${path}/`, 303, { 'Set-Cookie': cookie })
  }

  async #post(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { access, inspector, path } = this.#init
    if (name === 'logout') {
      return redirect(response, `${path}/`, 303, { 'Set-Cookie': access.logout(request) })
    }
    if (name !== 'api/act') return failure(response, 404, 'NOT_FOUND', 'there is nothing to post to here')
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
      return failure(
        response,
        400,
        'INVALID_ARGUMENTS',
        'an action is JSON: send Content-Type: application/json',
      )
    const body = await readBody(request, MAX_BODY, BODY_TIMEOUT)
    if (body === undefined)
      return failure(response, 413, 'TOO_BIG', `an action has at most ${MAX_BODY} bytes`)
    return this.#say(request, response, () => inspector.act(actionOf(body)))
  }

  async #api(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { inspector } = this.#init
    const query = queryOf(request)
    if (name === 'trace') return this.#say(request, response, signal => this.#trace(query, signal))
    const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
    if (method === undefined) return failure(response, 404, 'NOT_FOUND', `there is no api/${name}`)
    inspector.linger()
    return this.#say(request, response, () => method(inspector, query))
  }

  #trace(query: Readonly<Record<string, unknown>>, signal: AbortSignal): unknown {
    const { connection, actors, seconds = 5 } = query
    if (typeof seconds !== 'number' || !(seconds > 0) || seconds > MAX_TRACE)
      throw new SocketStreamError('INVALID_ARGUMENTS', `\`seconds\` is a number up to ${MAX_TRACE}`)
    const options: TraceOptions =
      typeof connection === 'string'
        ? { connection }
        : {
            actors: String(actors ?? '')
              .split(',')
              .filter(Boolean),
          }
    return this.#init.inspector.record(options, seconds * 1000, signal)
  }

  async #say(
    request: IncomingMessage,
    response: ServerResponse,
    make: (signal: AbortSignal) => unknown,
  ): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const body = JSON.stringify(await make(gone.signal))
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
      response.end(request.method === 'HEAD' ? undefined : body)
    } catch (error) {
      const status = hasCode(error) ? STATUS[error.code] : undefined
      if (status === undefined) throw error
      failure(response, status, (error as SocketStreamError).code, (error as Error).message)
    }
  }
}

/** The parameters of a query by their types: numbers and `true` as such. */
function queryOf(request: IncomingMessage): Readonly<Record<string, unknown>> {
  const query: Record<string, unknown> = {}
  for (const [name, value] of requestQuery(request)) {
    const isNumber = ['offset', 'limit', 'minDepth', 'seconds'].includes(name)
    const isFlag = name === 'deep' || name === 'descending'
    query[name] = isNumber ? Number(value) : isFlag ? value === 'true' || value === '1' : value
  }
  return query
}

function actionOf(body: Buffer): Action {
  try {
    return JSON.parse(body.toString()) as Action
  } catch {
    throw new SocketStreamError('INVALID_ARGUMENTS', 'the body is not JSON')
  }
}

function failure(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const more = { ...HEADERS, 'Cache-Control': 'no-store', ...headers }
  for (const [name, value] of Object.entries(more)) response.setHeader(name, value)
  if (response.req.readableFlowing === null && response.req.method === 'POST')
    response.setHeader('Connection', 'close')
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(response.req.method === 'HEAD' ? undefined : JSON.stringify({ error: { code, message } }))
}

function redirect(
  response: ServerResponse,
  to: string,
  status = 308,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...HEADERS, 'Cache-Control': 'no-store', Location: to, ...headers }).end()
}
