import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Duration, milliseconds } from './duration.js'
import type { Engine } from './engines/engine.js'
import { SocketStreamError } from './errors.js'

/** Options of `healthHandler()`. */
export interface HealthOptions {
  /** Path that answers as long as the process does. Default `/livez`. */
  readonly live?: string
  /** Path that answers 200 only while clients should be sent here. Default `/readyz`. */
  readonly ready?: string
  /** How long the event loop may have stood still since the last look. Default 1 s. */
  readonly maxLag?: Duration
  /** How long the engine may take to answer. Default 1 s. */
  readonly engineTimeout?: Duration
}

/** Answers what load balancers ask: for `node:http`, Connect and Express. */
export interface HealthHandler {
  /** Answers, or calls `next` where the path is another's; without a `next` that is a 404. */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void
  /** Whether a path is answered here; a query is left aside. */
  takes(path: string): boolean
  /** Answers: the handler as a route. */
  request(request: IncomingMessage, response: ServerResponse): void
  /** What `/readyz` would say now. */
  check(): Promise<Health>
}

/** How a server is. */
export interface Health {
  /** Whether clients should be sent to it. */
  readonly ready: boolean
  /** `started` is the only one that is ready. */
  readonly server: 'new' | 'starting' | 'started' | 'stopping' | 'stopped'
  /** `none`: it keeps nothing that could be asked. */
  readonly engine: 'up' | 'down' | 'none'
  /** `full`: no more clients are let in for want of memory. */
  readonly memory: 'free' | 'full'
  /** The longest that the event loop has stood still since the last look, in milliseconds. */
  readonly lag: number
}

/** What is looked at. */
export interface HealthSource {
  status(): Health['server']
  engine(): Engine | undefined
  /** Whether the engine says that it is down, also where it still answers. Default never. */
  engineDown?(): boolean
  /** Milliseconds that the event loop has stood still since this was last asked. */
  lag(): number
  /** Whether memory is short. Default never. */
  memoryFull?(): boolean
}

/** Milliseconds for which an answer is given again: who asks often costs nothing. */
const KEPT = 1000
const METHODS = 'GET, HEAD'
const PROBE = 'socketstream:health'

/**
 * Makes the handler.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function healthHandler(source: HealthSource, options: HealthOptions = {}): HealthHandler {
  const { live = '/livez', ready = '/readyz', maxLag = 1000, engineTimeout = 1000 } = options
  for (const [name, path] of Object.entries({ live, ready })) {
    if (typeof path !== 'string' || !path.startsWith('/')) {
      throw new SocketStreamError('INVALID_OPTION', `\`health.${name}\` must be a path, such as '/${name}z'`)
    }
  }
  const monitor = new Monitor(
    source,
    milliseconds(maxLag, 'health.maxLag'),
    milliseconds(engineTimeout, 'health.engineTimeout'),
  )
  const takes = (path: string): boolean => [live, ready].includes(withoutQuery(path))

  const request = (incoming: IncomingMessage, response: ServerResponse): void => {
    const path = withoutQuery(incoming.url ?? '')
    if (!takes(path)) return say(incoming, response, 404, { error: 'There is nothing here.' })
    if (incoming.method !== 'GET' && incoming.method !== 'HEAD') {
      response.setHeader('Allow', METHODS)
      return say(incoming, response, 405, { error: `Only ${METHODS} are answered here.` })
    }
    if (path === live) return say(incoming, response, 200, { live: true })
    void monitor.check().then(health => say(incoming, response, health.ready ? 200 : 503, health))
  }
  const handler = (
    incoming: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void => {
    if (next !== undefined && !takes(incoming.url ?? '')) return next()
    request(incoming, response)
  }
  return Object.assign(handler, { takes, request, check: () => monitor.check() })
}

/** What is kept of a look. */
type Looked = Pick<Health, 'engine' | 'lag'>

/** Looks at a server, once a second at most. */
class Monitor {
  readonly #source: HealthSource
  readonly #maxLag: number
  readonly #engineTimeout: number
  #kept: { readonly health: Promise<Looked>; readonly until: number } | undefined

  constructor(source: HealthSource, maxLag: number, engineTimeout: number) {
    this.#source = source
    this.#maxLag = maxLag
    this.#engineTimeout = engineTimeout
  }

  async check(): Promise<Health> {
    const now = performance.now()
    if (this.#kept === undefined || now >= this.#kept.until) {
      this.#kept = { health: this.#look(), until: now + KEPT }
    }
    const { engine: answered, lag } = await this.#kept.health
    const engine = this.#source.engineDown?.() ? 'down' : answered
    // Never from what is kept: a server that stops is not ready from that moment on.
    const server = this.#source.status()
    const memory = this.#source.memoryFull?.() ? 'full' : 'free'
    const ready = server === 'started' && engine !== 'down' && memory === 'free' && lag <= this.#maxLag
    return { ready, server, engine, memory, lag }
  }

  async #look(): Promise<Looked> {
    return { lag: this.#source.lag(), engine: await this.#engine() }
  }

  async #engine(): Promise<Health['engine']> {
    const kv = this.#source.engine()?.kv
    if (kv === undefined) return 'none'
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'down'>(resolve => {
      timer = setTimeout(resolve, this.#engineTimeout, 'down')
    })
    try {
      return await Promise.race([kv.get(PROBE).then(() => 'up' as const), late])
    } catch {
      return 'down'
    } finally {
      clearTimeout(timer)
    }
  }
}

function say(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(request.method === 'HEAD' ? undefined : `${JSON.stringify(body)}\n`)
}

function withoutQuery(path: string): string {
  return path.split('?', 1)[0]!
}
