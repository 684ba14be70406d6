import { CLOSE_CODES } from '../errors.js'
import type { Limits } from './broker.js'

/** What is to be done about a connection: nothing, a ping, or its end. */
export type Verdict = 'wait' | 'ping' | { readonly code: number; readonly reason: string }

const NO_HELLO: Verdict = { code: CLOSE_CODES.HANDSHAKE_TIMEOUT, reason: 'no hello in time' }
const NO_PONG: Verdict = { code: CLOSE_CODES.HEARTBEAT_TIMEOUT, reason: 'no answer to a ping' }
const NOT_READING: Verdict = { code: CLOSE_CODES.SLOW_CONSUMER, reason: 'nothing was read between two pings' }

/** What the link looks like at a check. */
export interface LinkState {
  /** Whether frames that arrive wait: a pong would then wait too, and silence says nothing. */
  readonly holds: boolean
  /** Whether it was paused because the client does not read. */
  readonly full: boolean
  /** Bytes that wait to be sent. */
  readonly waiting: number
}

/** Whether a client is still there: hears, pings and judges, by a clock that it is told. */
export class Liveness {
  /** Milliseconds from the last ping to its answer; undefined before there was one. */
  roundTrip: number | undefined
  readonly #limits: Limits
  readonly #since: number
  #pinged: number
  #heard = true
  /** When the ping left that waits for its answer, by a finer clock; 0 if none does. */
  #pingLeft = 0
  /** Bytes that waited at the last ping; Infinity if there were none. */
  #waitingThen = Infinity

  constructor(limits: Limits, now: number) {
    this.#limits = limits
    this.#since = now
    this.#pinged = now
  }

  /** Something came from the client, or could not have come. */
  heard(): void {
    this.#heard = true
  }

  /** A ping leaves. @param now milliseconds of a steady clock */
  leaves(now = performance.now()): void {
    this.#pingLeft = now
  }

  /** A pong has come; one that nobody has asked for says nothing. @param now by the same clock */
  answered(now = performance.now()): void {
    if (this.#pingLeft === 0) return
    this.roundTrip = Math.round((now - this.#pingLeft) * 100) / 100
    this.#pingLeft = 0
  }

  /** Judges a connection that has not been welcomed. */
  checkHandshake(now: number): Verdict {
    return now - this.#since >= this.#limits.handshake ? NO_HELLO : 'wait'
  }

  /**
   * Judges an open connection, once per ping interval.
   *
   * @param answersPings false on wires that carry none
   */
  check(now: number, link: LinkState, answersPings: boolean): Verdict {
    if (now - this.#pinged < this.#limits.ping) return 'wait'
    if (link.full && link.waiting >= this.#waitingThen) return NOT_READING
    if (!this.#heard && !link.holds) return NO_PONG
    this.#waitingThen = link.waiting || Infinity
    this.#pinged = now
    this.#heard = !answersPings
    return 'ping'
  }
}
