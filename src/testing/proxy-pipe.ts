import type { Socket } from 'node:net'

/** What applies to the bytes of a proxy, each way. */
export interface PipeRules {
  /** Milliseconds that bytes take. Default 0. */
  readonly delay: number
  /** Probability that a chunk is written in two pieces, cut anywhere. Default 0. */
  readonly split: number
  /** Milliseconds for which chunks are collected, to be written as one. Default 0. */
  readonly merge: number
  /** Default without a bound. */
  readonly bytesPerSecond: number
}

/** Bytes held at which the sender is paused. */
const HIGH_WATER = 64 * 1024

/** One direction of a proxied connection. */
export class ProxyPipe {
  /** Swallows what comes. */
  hole = false
  readonly #from: Socket
  readonly #to: Socket
  readonly #rules: () => PipeRules
  readonly #random: () => number
  readonly #oncut: () => void
  #held: Buffer[] = []
  #heldBytes = 0
  #left = Number.POSITIVE_INFINITY
  #freeAt = 0
  #collecting: NodeJS.Timeout | undefined
  #ending = false
  #over = false
  /** Pieces on their way, written one after the other. */
  #last: Promise<void> = Promise.resolve()

  /** @param oncut called once the bytes of `cutAfter` have gone through */
  constructor(from: Socket, to: Socket, rules: () => PipeRules, random: () => number, oncut: () => void) {
    this.#from = from
    this.#to = to
    this.#rules = rules
    this.#random = random
    this.#oncut = oncut
    from.on('data', chunk => this.#take(chunk))
    from.on('end', () => {
      if (!this.hole) this.finish()
    })
  }

  cutAfter(bytes: number): void {
    this.#left = bytes
    if (bytes === 0) this.#oncut()
  }

  /** Ends this direction behind what it holds. */
  finish(): void {
    this.#flush()
    this.#ending = true
    this.#last = this.#last.then(() => {
      if (!this.#over) this.#to.end()
    })
  }

  /** Forgets what it holds. */
  end(): void {
    this.#over = true
    clearTimeout(this.#collecting)
    this.#held = []
  }

  #take(chunk: Buffer): void {
    if (this.hole || this.#ending || this.#over) return
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes > HIGH_WATER) this.#from.pause()
    const { merge } = this.#rules()
    if (merge === 0) this.#flush()
    else this.#collecting ??= setTimeout(() => this.#flush(), merge)
  }

  #flush(): void {
    clearTimeout(this.#collecting)
    this.#collecting = undefined
    const chunk = Buffer.concat(this.#held)
    this.#held = []
    if (chunk.length === 0) return
    const { delay, split } = this.#rules()
    const arrives = performance.now() + delay
    const at = this.#random() < split ? 1 + Math.floor(this.#random() * (chunk.length - 1)) : chunk.length
    for (const piece of [chunk.subarray(0, at), chunk.subarray(at)]) {
      if (piece.length === 0) continue
      this.#last = this.#last.then(() => this.#write(piece, arrives))
      // A reader in this process must get its turn, or it would read both at once.
      if (at < chunk.length) this.#last = this.#last.then(() => new Promise(done => setTimeout(done, 2)))
    }
  }

  async #write(piece: Buffer, arrives: number): Promise<void> {
    const { bytesPerSecond } = this.#rules()
    const now = performance.now()
    this.#freeAt = Math.max(this.#freeAt, arrives, now) + (piece.length / bytesPerSecond) * 1000
    if (this.#freeAt > now) await new Promise(resolve => setTimeout(resolve, this.#freeAt - now))
    this.#heldBytes -= piece.length
    if (this.#heldBytes <= HIGH_WATER) this.#from.resume()
    if (this.#over || this.hole) return
    const part = piece.subarray(0, this.#left)
    this.#left -= part.length
    // Handed to the system before the next piece comes, or the two would leave as one.
    await new Promise<void>(resolve => this.#to.write(part, () => setImmediate(resolve)))
    if (this.#left === 0 && !this.#over) this.#oncut()
  }
}
