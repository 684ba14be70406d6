import type { Claim, ClaimAnswer, ClusterClaims } from '../cluster/claims.js'
import { type Handover, type MovedConnection, readMoved } from '../cluster/handover.js'
import type { Heard, Recording } from '../cluster/relays.js'
import { hasCode } from '../errors.js'
import { arrive } from './arrival.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import type { JoiningInit } from './joining.js'
import { Leaving } from './leaving.js'
import { servicesOf } from './moved-state.js'
import type { ResumeSettings } from './resume-options.js'
import { isSameSecret, readToken } from './resume-token.js'
import { type Identity, isSameUser, type ResumeRefusal, type ResumeRequest } from './resumption.js'

/** Servers that are asked one after another: each may say that it has gone on to the next. */
const HOPS = 4

/** What there is to go on with. */
interface Found {
  readonly state: MovedConnection
  /** How far the server had heard that it comes from. */
  readonly heard: Heard
  /** That server, which waits to be told; undefined when it came from the engine. */
  readonly node: string | undefined
}

/** Goes on with connections of other servers, and lets them have its own. */
export class Moving {
  readonly leaving: Leaving
  readonly #broker: Broker
  readonly #handover: Handover
  readonly #claims: ClusterClaims
  readonly #settings: ResumeSettings

  constructor(broker: Broker, handover: Handover, claims: ClusterClaims, settings: ResumeSettings) {
    this.#broker = broker
    this.#handover = handover
    this.#claims = claims
    this.#settings = settings
    this.leaving = new Leaving(broker, handover, claims, settings)
  }

  /** The id of this server, for the tokens of its connections. */
  get node(): string {
    return this.#claims.id
  }

  /** Looks for the connection that a newcomer wants to go on with; tells it `moved`. */
  claim(newcomer: BrokerConnection, asked: ResumeRequest, who: Identity, by: JoiningInit): void {
    const tell = (outcome: BrokerConnection | ResumeRefusal): void => {
      if (newcomer.ref.live) newcomer.ref.tell({ type: 'moved', outcome })
    }
    this.#claim(newcomer, asked, who, by).then(tell, error => {
      this.#broker.log.warn('a connection of another server could not be gone on with', { error })
      tell('unknown')
    })
  }

  async #claim(
    newcomer: BrokerConnection,
    asked: ResumeRequest,
    who: Identity,
    by: JoiningInit,
  ): Promise<BrokerConnection | ResumeRefusal> {
    const recording = this.#claims.record()
    try {
      const found = await this.#find(asked, who, recording)
      if (typeof found === 'string') return found
      const { node, state } = found
      const outcome = await this.#arrive(found, newcomer, asked, by, recording)
      if (node !== undefined) void this.#tell(node, state.id, outcome)
      return outcome
    } finally {
      recording.end()
    }
  }

  async #arrive(
    { state, heard, node }: Found,
    newcomer: BrokerConnection,
    asked: ResumeRequest,
    by: JoiningInit,
    recording: Recording,
  ): Promise<BrokerConnection | ResumeRefusal> {
    // What the other server has given it already must not come once more.
    if (recording.isLost || !(await this.#claims.reach(heard))) return 'overflow'
    this.leaving.forget(state.id)
    const { user, attachment: like } = newcomer
    const { bytes } = this.#settings
    const attempt = node === undefined ? asked : undefined
    return arrive(this.#broker, { state, attempt, user, by, like, bytes, recording, heard })
  }

  /** Tells the server that had it; one that has gone on with it meanwhile keeps it. */
  async #tell(node: string, id: string, outcome: BrokerConnection | ResumeRefusal): Promise<void> {
    const isThere = typeof outcome === 'object'
    try {
      const isAgreed = await this.#claims.tell(node, { id, isThere })
      if (isThere && !isAgreed) outcome.giveUp('superseded')
    } catch (error) {
      this.#broker.log.debug('the server that had a connection was not told', { node, id, error })
    }
  }

  // ---- where it is --------------------------------------------------------------------------------

  async #find(asked: ResumeRequest, who: Identity, recording: Recording): Promise<Found | ResumeRefusal> {
    const token = readToken(asked.token)
    let { node } = token
    if (node === this.node) {
      // It was given away, and has not arrived.
      const back = await this.leaving.back(asked, token)
      if (back !== undefined) return back
      node = this.leaving.whereabouts(token.id)
    }
    const claim: Claim = {
      token: asked.token,
      try: asked.try,
      recv: asked.recv,
      session: who.session ?? null,
      user: who.user === undefined ? [] : [who.user],
      services: servicesOf(this.#broker),
      heard: recording.since,
    }
    for (let hop = 0; node !== undefined && node !== this.node && hop < HOPS; hop++) {
      const answer = await this.#ask(node, claim)
      if (answer === undefined || 'stored' in answer) break
      if ('refused' in answer) return answer.refused as ResumeRefusal
      if ('state' in answer) {
        const state = readMoved(answer.state)
        return state === undefined ? 'unknown' : { state, heard: answer.heard, node }
      }
      node = answer.at
    }
    return this.#stored(asked, who, recording)
  }

  /** Undefined when that server is not there, or does not say. */
  async #ask(node: string, claim: Claim): Promise<ClaimAnswer | undefined> {
    try {
      return await this.#claims.ask(node, claim)
    } catch (error) {
      if (!hasCode(error)) throw error
      this.#broker.log.debug('the server that has a connection was not reached', { node, error })
      return undefined
    }
  }

  /** What a server has left in the engine that has stopped. */
  async #stored(asked: ResumeRequest, who: Identity, recording: Recording): Promise<Found | ResumeRefusal> {
    const { id, secret } = readToken(asked.token)
    const waiting = await this.#handover.find(id)
    if (waiting === undefined) return 'unknown'
    const { state } = waiting
    if (!isSameSecret(secret, state.secret)) return 'unknown'
    // Numbers of services mean others here.
    if (state.services !== servicesOf(this.#broker)) return 'unknown'
    if (who.session !== state.session.id || !isSameUser(state.user[0], who.user)) return 'session'
    const { before, acknowledged, retained } = state
    if (asked.try <= state.attempt) return 'superseded'
    if (asked.recv < acknowledged || asked.recv > before + retained.length) return 'counts'
    if (asked.recv < before) return 'overflow'
    if (!(await this.#handover.take(waiting))) return 'superseded'
    return { state, heard: recording.since, node: undefined }
  }
}
