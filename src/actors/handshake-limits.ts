import { addressKey } from './address-key.js'
import type { Limits } from './broker.js'

/** Why a client is refused before anybody looks at who it is. */
export type HandshakeRefusal = 'connections' | 'connectionsPerAddress' | 'handshakes' | 'handshakesPerAddress'

/** The limits that are kept here. */
export type HandshakeBounds = Pick<
  Limits,
  'connections' | 'connectionsPerAddress' | 'handshakesPerSecond' | 'handshakesPerAddress'
>

/** The verdict on a handshake that is one too many. */
export interface TooMany {
  readonly why: HandshakeRefusal
  /** Milliseconds after which it could be let in. */
  readonly retryAfter: number
}

/** Milliseconds of the rate that may come at once after a rest. */
const BURST = 10_000
/** Addresses whose rate is remembered. */
const REMEMBERED = 65_536
/** Milliseconds after which to try again where nobody knows when a place will be free. */
const LATER = 5000

/**
 * Counts links and handshakes, by address and in all.
 *
 * Rates follow the generic cell rate algorithm: a burst after a rest, then one by one. What is remembered is
 * bounded: links by `connections`, rates by 65,536 addresses, of which the one not heard of for longest is
 * forgotten and has its whole burst again. The rate in all holds whatever the addresses.
 */
export class HandshakeLimits {
  readonly #limits: HandshakeBounds
  readonly #now: () => number
  /** Links that are open, by address. */
  readonly #open = new Map<string, number>()
  readonly #rates = new Map<string, number>()
  #links = 0
  #rate = Number.NEGATIVE_INFINITY

  /** @param now milliseconds of a clock that nobody puts back */
  constructor(limits: HandshakeBounds, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  /** Links that are open. */
  get links(): number {
    return this.#links
  }

  /** Addresses that something is remembered of. */
  get addresses(): number {
    return new Set([...this.#open.keys(), ...this.#rates.keys()]).size
  }

  /** Counts a handshake; says why it is one too many, which is then not counted. */
  take(address: string): TooMany | undefined {
    const { connections, connectionsPerAddress, handshakesPerSecond, handshakesPerAddress } = this.#limits
    if (this.#links >= connections) return { why: 'connections', retryAfter: LATER }
    const key = addressKey(address)
    if ((this.#open.get(key) ?? 0) >= connectionsPerAddress) {
      return { why: 'connectionsPerAddress', retryAfter: LATER }
    }
    const now = this.#now()
    // The address first: what it has too many of must not use up what is there for everybody.
    const own = next(this.#rates.get(key), now, handshakesPerAddress)
    if (own.wait > 0) return { why: 'handshakesPerAddress', retryAfter: own.wait }
    const all = next(this.#rate, now, handshakesPerSecond)
    if (all.wait > 0) return { why: 'handshakes', retryAfter: all.wait }
    this.#rate = all.at
    this.#remember(key, own.at)
    return undefined
  }

  /**
   * Gives a handshake back to its address: its client has shown that it was here already, such as by resuming.
   *
   * Not to all: whoever resumes over and over is one of many.
   */
  exempt(address: string): void {
    const key = addressKey(address)
    const at = this.#rates.get(key)
    if (at !== undefined) this.#rates.set(key, at - 1000 / this.#limits.handshakesPerAddress)
  }

  /** A link is open; false when it is one too many, which has been counted all the same. */
  opened(address: string): boolean {
    const key = addressKey(address)
    const own = (this.#open.get(key) ?? 0) + 1
    this.#open.set(key, own)
    this.#links++
    return this.#links <= this.#limits.connections && own <= this.#limits.connectionsPerAddress
  }

  /** A link is gone. */
  closed(address: string): void {
    const key = addressKey(address)
    const left = (this.#open.get(key) ?? 0) - 1
    if (left > 0) this.#open.set(key, left)
    else this.#open.delete(key)
    this.#links--
  }

  #remember(key: string, at: number): void {
    // A Map keeps the order in which keys came: the first is the one not heard of for longest.
    this.#rates.delete(key)
    this.#rates.set(key, at)
    if (this.#rates.size <= REMEMBERED) return
    const [oldest] = this.#rates.keys()
    this.#rates.delete(oldest!)
  }
}

/** When the next one would be due after this one, and how long it is until this one fits. */
function next(last = Number.NEGATIVE_INFINITY, now: number, perSecond: number) {
  const at = Math.max(last, now) + 1000 / perSecond
  // Whole milliseconds: what the sums of thirds and the like are off by is no reason to refuse.
  return { at, wait: Math.floor(at - now - BURST) }
}
