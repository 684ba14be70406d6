import type { RequestSession } from '../services/service.js'
import { type DraftSource, SessionDraft } from '../sessions/draft.js'
import type { SessionChanges, SessionLike, StoredSession } from '../sessions/session.js'
import type { BrokerConnection } from './connection.js'
import type { LiveSession } from './live-session.js'
import { endConnection } from './session.js'

/** The session as one request of a connection changes it. */
class ConnectionSession implements DraftSource {
  readonly #live: LiveSession
  readonly #connection: BrokerConnection
  readonly #destroyed: () => void

  constructor(live: LiveSession, connection: BrokerConnection, destroyed: () => void) {
    this.#live = live
    this.#connection = connection
    this.#destroyed = destroyed
  }

  get id(): string {
    return this.#live.id
  }

  get data(): StoredSession {
    return this.#live.data
  }

  commit(changes: SessionChanges): Promise<void> {
    return this.#live.commit(changes)
  }

  reload(): Promise<void> {
    return this.#live.reload()
  }

  destroy(): Promise<void> {
    return this.#live.destroy(this.#connection).then(this.#destroyed)
  }

  async regenerate(): Promise<{ source: ConnectionSession; code: string }> {
    const { source, code } = await this.#live.regenerate(this.#connection)
    return { source: new ConnectionSession(source, this.#connection, this.#destroyed), code }
  }
}

/** A draft for one request, made when its handler first asks for the session. */
export class DraftedSession implements RequestSession {
  readonly #connection: BrokerConnection
  #draft: SessionDraft | undefined
  #destroyed = false
  #released = false

  constructor(connection: BrokerConnection) {
    this.#connection = connection
  }

  get session(): SessionLike {
    if (this.#draft === undefined) {
      const destroyed = (): void => {
        this.#destroyed = true
        this.#close()
      }
      const { liveSession } = this.#connection
      this.#draft = new SessionDraft(new ConnectionSession(liveSession, this.#connection, destroyed))
    }
    return this.#draft.session
  }

  commit(): Promise<void> | undefined {
    return this.#draft?.commit()
  }

  release(): void {
    this.#released = true
    this.#close()
  }

  /** Its own connection is told the answer before it goes. */
  #close(): void {
    if (this.#destroyed && this.#released) endConnection(this.#connection, 'destroyed')
  }
}
