import { timingSafeEqual } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { SocketStreamError } from '../errors.js'
import { userIdOf } from '../middleware/client-key.js'
import { randomText } from '../random.js'
import type { Outgoing } from './outgoing.js'
import { Retained, weightOf } from './retained.js'

/** What a hello says of the connection that it wants to go on with. */
export interface ResumeRequest {
  readonly token: string
  /** Which attempt it is, counted by the client: the highest wins. */
  readonly try: number
  /** How many counted messages the client has. */
  readonly recv: number
}

/**
 * Why a connection was not resumed.
 *
 * - `off`: the server keeps no lost connections
 * - `unknown`: there is no such connection, as after a restart, or the token is not its own
 * - `window`: the client was away too long
 * - `overflow`: more was sent to it than is kept
 * - `evicted`: too much was kept for all clients that are away
 * - `closed`: the server has closed it for good
 * - `session`: the client comes with another session or another user
 * - `superseded`: a later attempt has come first
 * - `counts`: the numbers do not fit
 * - `draining`: the server stops
 * - `bound`: the connection is of another server, where a call of it is still under way
 */
export type ResumeRefusal =
  | 'off'
  | 'unknown'
  | 'window'
  | 'overflow'
  | 'evicted'
  | 'closed'
  | 'session'
  | 'superseded'
  | 'counts'
  | 'draining'
  | 'bound'

/** Who a client is that wants to resume. */
export interface Identity {
  /** The session that its cookie or its hello names. */
  readonly session: string | undefined
  readonly user: unknown
}

/** How a link was lost. */
export interface Loss {
  readonly code: number
  readonly reason: string
  /** Milliseconds of `Date.now`. */
  readonly at: number
  /** Whose the connection was then: what it has kept is for nobody else. */
  readonly user: string | undefined
}

/** Messages received after which they are acknowledged; the same for bytes. */
const ACK_MESSAGES = 64
const ACK_BYTES = 32 * 1024
const SECRET_BYTES = 16

/** What a connection keeps so that its client can lose the link and come back: numbers and messages. */
export class Resumption {
  /** Sent and not acknowledged. */
  readonly retained: Retained
  /** What the client must show: the connection's id and a secret; in a cluster the server as well. */
  readonly token: string
  readonly #secret: string
  readonly #limit: number
  #attempt = 0
  /** Messages for the client that came while it was away: they have no numbers yet. */
  #held: Outgoing[] = []
  #heldBytes = 0
  #unacknowledged = 0
  #unacknowledgedBytes = 0
  /** How the link was lost; meaningless while there is one. */
  lost: Loss = { code: 1006, reason: '', at: 0, user: undefined }

  /**
   * @param limit bytes that are kept
   * @param before what another server has left of it
   */
  constructor(
    connectionId: string,
    limit: number,
    before?: { readonly secret: string; readonly attempt: number },
  ) {
    this.#secret = before?.secret ?? randomText(SECRET_BYTES)
    this.#attempt = before?.attempt ?? 0
    this.token = `${connectionId}.${this.#secret}`
    this.#limit = limit
    this.retained = new Retained(limit)
  }

  /** What another server needs for its client to come back there. */
  get credentials(): { readonly secret: string; readonly attempt: number } {
    return { secret: this.#secret, attempt: this.#attempt }
  }

  /** Messages that came while the client was away. */
  get held(): readonly Outgoing[] {
    return this.#held
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.retained.bytes + this.#heldBytes
  }

  /** Whether a token's secret is this one's. */
  knows(secret: string): boolean {
    const given = Buffer.from(secret)
    const own = Buffer.from(this.#secret)
    return given.length === own.length && timingSafeEqual(given, own)
  }

  /** What keeps this attempt from going on; its number counts from here on. */
  attempt(asked: ResumeRequest): ResumeRefusal | undefined {
    if (asked.try <= this.#attempt) return 'superseded'
    this.#attempt = asked.try
    const { retained } = this
    if (asked.recv < retained.acknowledged || asked.recv > retained.sent) return 'counts'
    return retained.covers(asked.recv) ? undefined : 'overflow'
  }

  /** The link is gone: what is kept is kept for longer. */
  detach(lost: Loss): void {
    this.lost = lost
    for (const outgoing of this.retained.all()) outgoing.compact()
  }

  /** Keeps what came while the client is away; false when that is too much. */
  hold(outgoing: Outgoing): boolean {
    outgoing.compact()
    this.#heldBytes += weightOf(outgoing)
    this.#held.push(outgoing)
    return this.bytes <= this.#limit
  }

  /** What came meanwhile, to be sent now. */
  release(): readonly Outgoing[] {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    return held
  }

  /** Notes a message received; whether it is time to acknowledge. */
  received(bytes: number): boolean {
    this.#unacknowledgedBytes += bytes
    return ++this.#unacknowledged >= ACK_MESSAGES || this.#unacknowledgedBytes >= ACK_BYTES
  }

  /** Whether anything received is not acknowledged. */
  get due(): boolean {
    return this.#unacknowledged > 0
  }

  /** All that was received has been acknowledged, or will be by the welcome. */
  settled(): void {
    this.#unacknowledged = 0
    this.#unacknowledgedBytes = 0
  }

  /**
   * Takes a client's word for what it has.
   *
   * @throws SocketStreamError `BAD_FRAME` for what is no number, or more than was sent
   */
  acknowledge(number: unknown): void {
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) {
      throw new SocketStreamError('BAD_FRAME', 'an acknowledgement is a whole number')
    }
    if (number > this.retained.sent) {
      throw new SocketStreamError('BAD_FRAME', `${number} messages are acknowledged, more than were sent`)
    }
    this.retained.acknowledge(number)
  }
}

/** Whether two users are one: by their ids, or by all that is known of them. */
export function isSameUser(one: unknown, other: unknown): boolean {
  const id = userIdOf(one)
  return id === undefined ? isDeepStrictEqual(one, other) : id === userIdOf(other)
}
