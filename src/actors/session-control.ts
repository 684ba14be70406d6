import type { IncomingMessage, ServerResponse } from 'node:http'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import { OneTimeCodes } from '../sessions/codes.js'
import type { SessionIdentity } from '../sessions/identity.js'
import { redeemHandler } from '../sessions/redeem.js'
import type { SessionRepository } from '../sessions/repository.js'
import type { StoredSession } from '../sessions/session.js'
import type { SharedStore } from '../sessions/shared-store.js'
import type { WebStore } from '../sessions/web-store.js'
import type { Broker } from './broker.js'
import { type Done, stopped } from './live-session.js'
import { Outgoing } from './outgoing.js'
import type { SessionCache } from './session-cache.js'

/** A session in use. */
export interface LiveSessionInfo {
  readonly id: string
  readonly user: string | undefined
  /** Ids of its connections. */
  readonly connections: readonly string[]
}

/** Figures of the session cache. */
export interface SessionStatistics {
  /** Sessions in use. */
  readonly live: number
  /** Sessions kept in RAM besides, and their estimated bytes. */
  readonly cached: number
  readonly cachedBytes: number
  readonly hits: number
  readonly misses: number
  readonly evictions: number
}

/** What sessions are made of. */
export interface SessionControlInit {
  readonly store: SharedStore
  readonly repository: SessionRepository
  readonly identity: SessionIdentity
  userOf(session: StoredSession): string | undefined
}

/** The sessions of a server, as the application sees them: `app.sessions`. */
export class SessionControl {
  /** The store for express-session, so that this server hears what the web side does. */
  readonly store: WebStore
  readonly #init: SessionControlInit
  #broker: Broker | undefined
  #cache: SessionCache | undefined
  #codes: OneTimeCodes | undefined

  constructor(init: SessionControlInit) {
    this.#init = init
    this.store = init.store
  }

  /** Ends a session: it is removed from the store, and its connections close with 4405. */
  destroy(id: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.store.destroy(id, error => (error ? reject(error) : resolve())),
    )
  }

  /** Says that a session was destroyed elsewhere: its connections close with 4405 at once, on all servers. */
  destroyed(id: string): void {
    this.#broker?.cluster?.ended(id, 'destroyed')
    this.#broker?.sessions.tell({ type: 'destroyed', id, end: 'destroyed' })
  }

  /** The sessions in use on this node: of a user, or all. */
  list(user?: string): readonly LiveSessionInfo[] {
    const infos: LiveSessionInfo[] = []
    for (const { id, data, connections, end } of this.#cache?.live.values() ?? []) {
      if (end !== undefined) continue
      const info = { id, user: this.#init.userOf(data), connections: [...connections].map(({ id }) => id) }
      if (info.connections.length > 0 && (user === undefined || info.user === user)) infos.push(info)
    }
    return infos
  }

  /**
   * Sends a message of a service to every connection of a session, on all servers; returns how many there are here.
   *
   * @throws SocketStreamError `UNKNOWN_SERVICE`
   */
  send(id: string, service: string, message: unknown): number {
    const entry = this.#broker?.services.find(candidate => candidate?.name === service)
    if (this.#broker === undefined || entry === undefined) {
      throw new SocketStreamError(
        'UNKNOWN_SERVICE',
        `the server has no service "${service}", or has not started`,
      )
    }
    const outgoing = new Outgoing(this.#broker.primaryCodec, KIND.MESSAGE, entry.id, 0, message)
    this.#broker.cluster?.relay(service, { session: id }, message)
    const connections = this.#broker.connections.ofSession(id)
    for (const connection of connections) connection.deliver(outgoing)
    return connections.size
  }

  /**
   * A handler for `POST { code }`: gives the page the cookie of a session that was regenerated over its
   * connection. For Connect, Express and `node:http`; see docs/sessions.md.
   */
  handler(): (request: IncomingMessage, response: ServerResponse) => void {
    this.#codes ??= new OneTimeCodes()
    const { repository, identity } = this.#init
    return redeemHandler({
      codes: this.#codes,
      identity,
      read: async (id, secure) => {
        if (this.#cache?.memory.isBuried(id)) return undefined
        return this.#cache?.live.get(id)?.data ?? (await repository.load(id)) ?? repository.empty(secure)
      },
      replaced: id => this.#init.store.listener?.destroy(id, 'regenerated', () => undefined),
    })
  }

  /** Figures since the start. */
  get statistics(): SessionStatistics {
    const { counters, live, memory } = this.#cache ?? {}
    const { hits = 0, misses = 0 } = counters ?? {}
    const { size: cached = 0, bytes: cachedBytes = 0, evictions = 0 } = memory ?? {}
    return { live: live?.size ?? 0, cached, cachedBytes, hits, misses, evictions }
  }

  /** The codes that regenerated sessions are given; undefined when nobody redeems them. */
  get codes(): OneTimeCodes | undefined {
    return this.#codes
  }

  /** Begins to hear of what the web side does. Called by the server. */
  attach(broker: Broker, cache: SessionCache): void {
    this.#broker = broker
    this.#cache = cache
    const tell = (message: Parameters<Broker['sessions']['tell']>[0] & { done: Done }): void => {
      if (!broker.sessions.tell(message)) message.done(stopped())
    }
    this.#init.store.listener = {
      gone: id => cache.memory.isBuried(id),
      saved: id => void broker.sessions.tell({ type: 'told', id }),
      commit: (id, changes, done) => tell({ type: 'commit', id, changes, done }),
      touch: (id, data, done) => tell({ type: 'touch', id, data, done }),
      destroy: (id, end, done) => tell({ type: 'destroy', id, end, done }),
    }
  }

  /** The server has stopped. */
  detach(): void {
    this.#init.store.listener = undefined
    this.#broker = undefined
  }
}
