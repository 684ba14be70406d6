import { timingSafeEqual } from 'node:crypto'
import type { Handover, MovedConnection } from '../cluster/handover.js'
import { CLOSE_CODES } from '../errors.js'
import { userIdOf } from '../middleware/client-key.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import type { JoiningInit } from './joining.js'
import { resumptionOf, servicesOf } from './moved-state.js'
import type { ResumeSettings } from './resume-options.js'
import { type Identity, isSameUser, type ResumeRefusal, type ResumeRequest } from './resumption.js'

/** Connections that are written to the engine at once. */
const AT_ONCE = 32
/** Milliseconds in which a connection has to say what it has. */
const PATIENCE = 1000
/** What a connection is closed with that another server may go on with; its client is not told to begin anew. */
const LEFT = 'go on with another server'

/** Leaves connections of a server that stops to the others, and goes on with theirs. */
export class Moving {
  readonly #broker: Broker
  readonly #handover: Handover
  readonly #settings: ResumeSettings
  /** Bytes that were left. */
  #left = 0
  /** Whether the engine has failed. */
  #hasFailed = false

  constructor(broker: Broker, handover: Handover, settings: ResumeSettings) {
    this.#broker = broker
    this.#handover = handover
    this.#settings = settings
  }

  // ---- leaving ------------------------------------------------------------------------------------

  /** Leaves as many as can be; the others stay, to be closed. */
  async leaveAll(connections: Iterable<BrokerConnection>): Promise<void> {
    const rest = connections[Symbol.iterator]()
    const work = async (): Promise<void> => {
      for (let next = rest.next(); !next.done; next = rest.next()) await this.leave(next.value)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  /**
   * Leaves a connection to whichever server its client comes to; false when it stays as it is.
   *
   * One whose state could not be kept is closed, and its client begins anew.
   */
  async leave(connection: BrokerConnection): Promise<boolean> {
    const { resumption } = connection
    const { bytes, total, window } = this.#settings
    if (this.#hasFailed || resumption === undefined || this.#left + resumption.bytes > total) return false
    const state = await stateOf(connection)
    if (state === undefined) return false
    this.#left += resumption.bytes
    try {
      const isLeft = await this.#handover.leave(state, bytes, window)
      if (!isLeft)
        this.#broker.log.debug('a connection has too much to be left to others', { connection: state.id })
    } catch (error) {
      // The others would have to wait for its deadline, too.
      this.#hasFailed = true
      this.#broker.log.warn('a connection could not be left to other servers', {
        connection: state.id,
        error,
      })
    }
    connection.end(CLOSE_CODES.SERVER_STOPPING, LEFT)
    return true
  }

  // ---- going on -----------------------------------------------------------------------------------

  /** Looks for the connection that a newcomer wants to go on with; tells it `moved`. */
  claim(newcomer: BrokerConnection, asked: ResumeRequest, who: Identity, by: JoiningInit): void {
    const tell = (outcome: BrokerConnection | ResumeRefusal): void => {
      if (newcomer.ref.live) newcomer.ref.tell({ type: 'moved', outcome })
    }
    this.#find(asked, who).then(
      found => {
        if (typeof found === 'string') tell(found)
        else this.#restore(found, asked, newcomer, by, tell)
      },
      error => {
        this.#broker.log.warn('what other servers have left could not be read', { error })
        tell('unknown')
      },
    )
  }

  async #find(asked: ResumeRequest, who: Identity): Promise<MovedConnection | ResumeRefusal> {
    const dot = asked.token.lastIndexOf('.')
    const waiting = await this.#handover.find(asked.token.slice(0, dot))
    if (waiting === undefined) return 'unknown'
    const { state } = waiting
    if (!isSame(asked.token.slice(dot + 1), state.secret)) return 'unknown'
    // Numbers of services mean others here.
    if (state.services !== servicesOf(this.#broker)) return 'unknown'
    if (who.session !== state.session.id || !isSameUser(state.user[0], who.user)) return 'session'
    const { before, acknowledged, retained } = state
    if (asked.try <= state.attempt) return 'superseded'
    if (asked.recv < acknowledged || asked.recv > before + retained.length) return 'counts'
    if (asked.recv < before) return 'overflow'
    return (await this.#handover.take(waiting)) ? state : 'superseded'
  }

  #restore(
    state: MovedConnection,
    asked: ResumeRequest,
    newcomer: BrokerConnection,
    by: JoiningInit,
    tell: (outcome: BrokerConnection | ResumeRefusal) => void,
  ): void {
    const { connections } = this.#broker
    const resumption = resumptionOf(state, this.#broker, this.#settings.bytes)
    const refused = resumption.attempt(asked)
    if (refused !== undefined) return tell(refused)
    const connection = connections.restore(state, newcomer.user, by, newcomer.attachment)
    connection.begin(state, resumption)
    const { id, stored } = state.session
    connection.joining.restore(id, !stored, refusal => {
      if (refusal !== undefined) return tell(refusal)
      // The session has ended meanwhile, or somebody else is in it.
      const named = userIdOf(connection.user)
      const userId = named === undefined ? (connection.userId ?? null) : String(named)
      if (connection.liveSession.id !== id || userId !== state.userId) {
        connection.shut(CLOSE_CODES.SESSION_CHANGED, 'the session is another one')
        connection.ref.stop()
        return tell('session')
      }
      connection.restored()
      if (state.rooms.length > 0) connection.join(state.rooms)
      tell(connection)
    })
  }
}

function stateOf(connection: BrokerConnection): Promise<MovedConnection | undefined> {
  return new Promise(resolve => {
    // It may close before it is its turn.
    setTimeout(resolve, PATIENCE, undefined).unref()
    if (!connection.ref.live || !connection.ref.tell({ type: 'leave', done: resolve })) resolve(undefined)
  })
}

function isSame(given: string, secret: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(secret)]
  return one.length === other.length && timingSafeEqual(one, other)
}
