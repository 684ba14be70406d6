import type { Claim, ClaimAnswer, Claimed, ClusterClaims } from '../cluster/claims.js'
import { type Handover, readMoved } from '../cluster/handover.js'
import { arrive } from './arrival.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { depart, holdsTopics } from './departure.js'
import { servicesOf } from './moved-state.js'
import { type Released, ReleasedConnections } from './released.js'
import type { ResumeSettings } from './resume-options.js'
import { isSameSecret, type ResumeToken, readToken } from './resume-token.js'
import type { ResumeRefusal, ResumeRequest } from './resumption.js'

/** Connections that are written to the engine at once. */
const AT_ONCE = 32
/** Milliseconds for which a client that has come to another server waits for its calls here to end. */
const CALLS = 3000
/** Milliseconds for which a server that stops waits for its clients to come to others. */
const COMING = 5000
/** Milliseconds after which it looks who still is to come. */
const LOOK = 50

/** Lets other servers have the connections of this one. */
export class Leaving {
  readonly #broker: Broker
  readonly #handover: Handover
  readonly #claims: ClusterClaims
  readonly #settings: ResumeSettings
  readonly #released: ReleasedConnections
  /** Those that are on their way out, until it is known how that ends. */
  readonly #going = new Map<string, Promise<unknown>>()
  /** Those whose clients were told to come to another server. */
  readonly #expected = new Map<string, BrokerConnection>()
  /** Ids of those that were left in the engine. */
  readonly #stored = new Set<string>()
  /** Bytes that were left in the engine. */
  #left = 0
  /** Whether the engine has failed. */
  #hasFailed = false

  constructor(broker: Broker, handover: Handover, claims: ClusterClaims, settings: ResumeSettings) {
    this.#broker = broker
    this.#handover = handover
    this.#claims = claims
    this.#settings = settings
    this.#released = new ReleasedConnections(settings, id => void this.#takeBack(id))
    claims.serve(
      (claim, from) => this.#claim(claim, from),
      (claimed, from) => this.#claimed(claimed, from),
    )
    claims.onLeft(node => {
      for (const id of this.#released.of(node)) void this.#takeBack(id)
    })
  }

  // ---- to whoever asks ----------------------------------------------------------------------------

  /** The server that a connection has gone to from here. */
  whereabouts(id: string): string | undefined {
    return this.#released.whereabouts(id)
  }

  /** A connection has come here. */
  forget(id: string): void {
    this.#released.forget(id)
  }

  async #claim(claim: Claim, from: string): Promise<ClaimAnswer> {
    const token = readToken(claim.token)
    const { id } = token
    const asked: ResumeRequest = { token: claim.token, try: claim.try, recv: claim.recv }
    for (let going = this.#going.get(id); going !== undefined; going = this.#going.get(id)) await going
    const back = await this.back(asked, token)
    if (typeof back === 'string') return { refused: back }
    if (this.#stored.has(id)) return { stored: true }
    const at = this.whereabouts(id)
    if (at !== undefined) return at === from ? { refused: 'unknown' } : { at }
    const who = { session: claim.session ?? undefined, user: claim.user[0] }
    const { resumables } = this.#broker.connections
    const found = resumables.look(asked, who)
    if (typeof found === 'string') return { refused: found }
    const refuse = (why: ResumeRefusal): ClaimAnswer => {
      // Its client begins anew.
      found.giveUp(why)
      return { refused: why }
    }
    const isFree = await free(found, CALLS)
    if (claim.services !== servicesOf(this.#broker)) return refuse('unknown')
    if (!(await this.#claims.reach(claim.heard))) return refuse('overflow')
    if (found.state !== 'detached' || found.resumption?.credentials.attempt !== claim.try) {
      return { refused: 'superseded' }
    }
    if (!isFree || found.isBound || holdsTopics(found)) return refuse('bound')
    return this.#release(found, claim.try, from)
  }

  #release(connection: BrokerConnection, attempt: number, node: string): Promise<ClaimAnswer> {
    const { id, user, attachment } = connection
    const { clientIp, transport, secure } = attachment
    const { secret } = connection.resumption!.credentials
    // These belong together: what is not in the state comes behind the numbers, and is recorded.
    const recording = this.#claims.record()
    const heard = this.#claims.heard()
    const departing = depart(connection, this.#settings.bytes)
    return this.#goes(
      id,
      departing.then(bytes => {
        if (bytes === undefined) {
          recording.end()
          this.#expected.delete(id)
          return { refused: 'overflow' }
        }
        const like = { clientIp, transport, secure }
        this.#released.add({ id, bytes, secret, attempt, heard, recording, node, user, like })
        return { state: bytes, heard }
      }),
    )
  }

  /** Whoever asks meanwhile waits. */
  #goes<Outcome>(id: string, work: Promise<Outcome>): Promise<Outcome> {
    const ended = work.finally(() => {
      if (this.#going.get(id) === ended) this.#going.delete(id)
    })
    this.#going.set(id, ended)
    return ended
  }

  #claimed({ id, isThere }: Claimed, from: string): boolean {
    const released = this.#released.get(id)
    if (released?.node !== from) return this.whereabouts(id) === from
    if (isThere) {
      this.#released.confirmed(id)
      this.#expected.delete(id)
    } else void this.#takeBack(id)
    return true
  }

  // ---- and back -----------------------------------------------------------------------------------

  /** Goes on with one that was given away and has not arrived, if a later attempt asks for it; or says why not. */
  async back(asked: ResumeRequest, { id, secret }: ResumeToken): Promise<ResumeRefusal | undefined> {
    const released = this.#released.get(id)
    if (released === undefined) return undefined
    if (!isSameSecret(secret, released.secret)) return 'unknown'
    if (asked.try <= released.attempt) return 'superseded'
    await this.#takeBack(id)
    return undefined
  }

  async #takeBack(id: string): Promise<void> {
    const released = this.#released.take(id)
    if (released !== undefined) await this.#goes(id, this.#arrive(released))
  }

  async #arrive({ bytes, recording, heard, user, like }: Released): Promise<void> {
    try {
      const state = readMoved(bytes)
      if (state === undefined || recording.isLost) return
      const by = { sessionId: state.session.id, freshSession: false }
      const kept = this.#settings.bytes
      await arrive(this.#broker, { state, attempt: undefined, user, by, like, bytes: kept, recording, heard })
    } catch (error) {
      this.#broker.log.error('a connection that no other server has was lost', { error })
    } finally {
      recording.end()
    }
  }

  // ---- when the server stops ----------------------------------------------------------------------

  /** Tells a client to go on with another server. */
  letGo(connection: BrokerConnection): boolean {
    if (connection.resumption === undefined) return false
    if (connection.attached) this.#expected.set(connection.id, connection)
    connection.ref.tell({ type: 'letGo' })
    return true
  }

  /** Lets go of all; waits for those who come to other servers by themselves; leaves the rest in the engine. */
  async leaveAll(connections: ReadonlyMap<string, BrokerConnection>, ms: number): Promise<void> {
    for (const connection of connections.values()) this.letGo(connection)
    const last = Date.now() + Math.min(ms, COMING)
    while (this.#claims.hasOthers && this.#isAwaiting(connections) && Date.now() < last) {
      await new Promise(resolve => setTimeout(resolve, LOOK))
    }
    const rest = [...connections.values()][Symbol.iterator]()
    const work = async (): Promise<void> => {
      for (let next = rest.next(); !next.done; next = rest.next()) await this.#leave(next.value)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  #isAwaiting(connections: ReadonlyMap<string, BrokerConnection>): boolean {
    for (const [id, connection] of this.#expected) {
      const isHere = connections.get(id) === connection && connection.state === 'detached'
      if (!isHere && !this.#going.has(id) && this.#released.get(id) === undefined) this.#expected.delete(id)
    }
    return this.#expected.size > 0
  }

  /** Leaves a connection in the engine; one whose state cannot be kept is closed, and its client begins anew. */
  async #leave(connection: BrokerConnection): Promise<void> {
    const { resumption, id } = connection
    const { bytes, total, window } = this.#settings
    if (this.#hasFailed || resumption === undefined || this.#left + resumption.bytes > total) return
    if (connection.isBound || holdsTopics(connection) || this.#going.has(id) || !(await free(connection, 0)))
      return
    this.#left += resumption.bytes
    const storing = async (): Promise<void> => {
      const state = await depart(connection, bytes)
      if (state === undefined) return
      await this.#handover.leave(id, state, window)
      this.#stored.add(id)
    }
    try {
      await this.#goes(id, storing())
    } catch (error) {
      // The others would have to wait for its deadline, too.
      this.#hasFailed = true
      this.#broker.log.warn('a connection could not be left to other servers', { connection: id, error })
    }
  }
}

/** Resolves to whether a connection is away and has nothing under way, within so many milliseconds. */
function free(connection: BrokerConnection, ms: number): Promise<boolean> {
  return new Promise(resolve => {
    if (!connection.ref.live || !connection.ref.tell({ type: 'free', done: resolve })) return resolve(false)
    setTimeout(resolve, ms, false).unref()
  })
}
