import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import session from 'express-session'
import { onTestFinished } from 'vitest'
import type { SessionCacheMessage } from '../../src/actors/session-cache.js'
import type { ServerOptions } from '../../src/options.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { SessionOptions } from '../../src/sessions/options.js'
import type { SessionStore } from '../../src/sessions/repository.js'
import { gate } from '../actors/support.js'
import { testServer, WireClient } from './wire.js'

/** The settings that Express and the server share. */
export const SHARED = { secret: 'a secret', resave: false, saveUninitialized: false }

/**
 * What a process of a user has: an Express site and a server of connections, over one store.
 *
 * Several of them over stores of the same data are several processes, as none hears of another.
 */
export class SessionProcess {
  readonly app
  readonly log
  readonly #transport
  readonly #settings: SessionOptions
  #http!: HttpServer
  /** Waits for the next request to `/held`, and lets it go on. */
  held = { arrived: gate(), go: gate() }
  /** Waits for the next call of `held`, and lets it go on. */
  heldCall = { arrived: gate(), go: gate() }

  constructor(store: SessionStore, settings: SessionOptions, options: Partial<ServerOptions>) {
    this.#settings = { ...SHARED, ...settings }
    const made = testServer({ sessionStore: store, sessions: this.#settings, ...options })
    made.app.service('rpc', this.#service())
    this.app = made.app
    this.log = made.log
    this.#transport = made.transport
  }

  /** Starts one for one test. */
  static async start(
    store: SessionStore,
    settings: SessionOptions = {},
    options: Partial<ServerOptions> = {},
  ): Promise<SessionProcess> {
    const started = new SessionProcess(store, settings, options)
    onTestFinished(() => started.stop())
    await started.app.start()
    started.#http = started.#site().listen(0, '127.0.0.1')
    await once(started.#http, 'listening')
    return started
  }

  /** A browser that has not been here. */
  browser(): Browser {
    return new Browser(this)
  }

  /** The address of the site. */
  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  /** A connection with these cookies; `hello` may have the token of an earlier one. */
  async tab(cookie: string | undefined, hello: object = {}): Promise<Tab> {
    const headers = cookie === undefined ? {} : { cookie }
    return new Tab(await WireClient.open(this.#transport, hello, { headers }))
  }

  /** A connection that does not get as far as its welcome: how it ends. */
  async refused(cookie: string): Promise<{ code: number; reason: string }> {
    const client = await WireClient.silent(this.#transport, { headers: { cookie } })
    client.send([16, { v: 1 }])
    return client.ended()
  }

  /** Has the cache look for what has expired, as it would at that time. */
  sweep(now = Date.now()): void {
    this.app.actors.find<SessionCacheMessage>('/sessions')?.tell({ type: 'sweep', now })
  }

  async stop(): Promise<void> {
    await this.app.stop({ drain: 0 })
    this.#http.close()
    this.#http.closeAllConnections()
  }

  #service() {
    return rpc({
      get: ctx => ({ id: ctx.session.id, ...contentOf(ctx.session) }),
      set(ctx, values: object) {
        Object.assign(ctx.session, values)
      },
      held: async (ctx, values: object) => {
        Object.assign(ctx.session, values)
        this.heldCall.arrived.open()
        await this.heldCall.go.promise
      },
      reload: async ctx => void (await ctx.session.reload()),
      async destroy(ctx) {
        await ctx.session.destroy()
        return 'destroyed'
      },
    })
  }

  #site() {
    const site = express()
    const { timeout: _timeout, recheck: _recheck, ...settings } = this.#settings
    site.use(session({ ...(settings as session.SessionOptions), store: this.app.sessions.store }))
    site.get('/session', ({ session, sessionID }, response) => {
      response.json({ id: sessionID, ...contentOf(session) })
    })
    site.get('/set', ({ session, query }, response) => {
      Object.assign(session, query)
      response.json({})
    })
    site.get('/held', async ({ session, query }, response) => {
      this.held.arrived.open()
      await this.held.go.promise
      Object.assign(session, query)
      response.json({})
    })
    site.get('/regenerate', ({ session }, response, next) => {
      session.regenerate(error => (error ? next(error) : response.json({})))
    })
    site.get('/logout', ({ session }, response, next) => {
      session.destroy(error => (error ? next(error) : response.json({})))
    })
    site.use(((error, _request, response, _next) => {
      if (!response.headersSent) response.status(503)
      response.end(String(error))
    }) satisfies ErrorRequestHandler)
    return site
  }
}

/** A visitor's browser: one jar of cookies, any number of tabs. */
export class Browser {
  cookie: string | undefined
  readonly #process: SessionProcess

  constructor(process: SessionProcess) {
    this.#process = process
  }

  /** Gets a page of the site; another process may serve it. */
  async get(path: string, process = this.#process): Promise<{ status: number; body: unknown }> {
    const headers = this.cookie === undefined ? {} : { cookie: this.cookie }
    const response = await fetch(process.url + path, { headers })
    const [given] = response.headers.getSetCookie()
    if (given !== undefined) this.cookie = given.split(';')[0]
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
  }

  tab(process = this.#process): Promise<Tab> {
    return process.tab(this.cookie)
  }

  /** The id in the cookie. */
  get sessionId(): string {
    return /s:([^.]+)/.exec(decodeURIComponent(this.cookie ?? ''))![1]!
  }
}

/** How a call failed. */
export interface CallError {
  readonly code: string
  readonly message: string
  readonly retryAfter?: number
}

/** A connection that calls the methods of the RPC service. */
export class Tab {
  readonly client: WireClient
  #lastId = -1

  constructor(client: WireClient) {
    this.client = client
  }

  /** Calls; rejects with what the error frame carries. */
  async call(method: string, ...args: unknown[]): Promise<unknown> {
    this.#lastId += 2
    const id = this.#lastId
    const { client } = this
    client.send([1, 1, id, [method, ...args]])
    for (let read = 0; ; read++) {
      const [kind, of, payload] = await client.received(read + 1)
      if (of !== id || (kind !== 2 && kind !== 3)) continue
      if (kind === 2) return payload
      throw payload
    }
  }

  /** Calls what shall fail: the error. */
  async failure(method: string, ...args: unknown[]): Promise<CallError> {
    try {
      return { code: 'NONE', message: `answered ${JSON.stringify(await this.call(method, ...args))}` }
    } catch (error) {
      return error as CallError
    }
  }

  /** The close code. */
  async closed(): Promise<number> {
    return (await this.client.ended()).code
  }

  get open(): boolean {
    return this.client.closed === undefined
  }
}

/** What the application has put into a session. */
function contentOf(session: object): object {
  const { cookie: _cookie, __lastAccess: _read, ...content } = session as Record<string, unknown>
  return content
}
