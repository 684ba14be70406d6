import type { Frame } from '../codec/codec.js'
import { SUBPROTOCOL } from '../protocol/envelope.js'
import { type Failure, summary, type Way } from './fallback-order.js'
import type { ClientLink, ClientLinkHandler, ClientTransport } from './transport.js'

/** What a link is told of the ways. */
export interface Ways {
  /** Those to try, in order. @throws Error when an address is none */
  list(): Way[]
  /** Switches the codec to what a way carries; gives the codec's name. */
  codecFor(way: Way): string
  /** The first frame has come. */
  worked(way: Way): void
}

/** One link of a client, over the first way that works. */
export class FallbackLink implements ClientLink {
  readonly #handler: ClientLinkHandler
  readonly #timeout: number
  readonly #ways: Ways
  readonly #failures: Failure[] = []
  #left: Way[] = []
  #link: ClientLink | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Which try it is: what comes late from an earlier one is known by it. */
  #turn = 0
  #works = false
  #over = false

  /** @param timeout milliseconds that each way has for its first frame */
  constructor(handler: ClientLinkHandler, timeout: number, ways: Ways) {
    this.#handler = handler
    this.#timeout = timeout
    this.#ways = ways
    try {
      this.#left = ways.list()
      void this.#tryNext()
    } catch (error) {
      // A URL that is none, whatever the way. 1002, as trying again would not change it.
      this.#end(1002, (error as Error).message)
    }
  }

  send(frame: Frame): void {
    this.#link?.send(frame)
  }

  close(code: number, reason: string): void {
    if (this.#works) this.#link?.close(code, reason)
    else this.#end(code, reason)
  }

  async #tryNext(): Promise<void> {
    const way = this.#left.shift()
    if (way === undefined) {
      const { code, reason } = summary(this.#failures)
      return this.#end(code, reason)
    }
    const turn = this.#turn
    const fail = (code: number, reason: string) => {
      if (turn !== this.#turn) return
      this.#failures.push({ name: way.name, code, reason })
      this.#abandon()
      void this.#tryNext()
    }
    this.#timer = setTimeout(() => fail(1006, `silent for ${this.#timeout} ms`), this.#timeout)
    try {
      const transport = await way.load()
      if (turn === this.#turn) this.#open(way, transport, fail)
    } catch (error) {
      // 1006, as what cannot be loaded now may be there the next time.
      fail(1006, error instanceof Error ? error.message : String(error))
    }
  }

  #open(way: Way, transport: ClientTransport, fail: (code: number, reason: string) => void): void {
    const turn = this.#turn
    const protocols = [SUBPROTOCOL.PREFIX + this.#ways.codecFor(way)]
    this.#link = transport.open(way.url, protocols, {
      // The client says hello each time: nothing else is sent before the first frame has come.
      opened: () => {
        if (turn === this.#turn) this.#handler.opened()
      },
      frame: frame => {
        if (turn !== this.#turn) return
        if (!this.#works) {
          this.#works = true
          clearTimeout(this.#timer)
          this.#ways.worked(way)
        }
        this.#handler.frame(frame)
      },
      closed: (code, reason) => {
        if (turn === this.#turn && this.#works) this.#end(code, reason)
        else fail(code, reason)
      },
    })
  }

  /** Leaves the way under way: nothing that it still does is heard. */
  #abandon(): void {
    this.#turn++
    clearTimeout(this.#timer)
    this.#link?.close(1000, '')
    this.#link = undefined
  }

  #end(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#abandon()
    // Whoever opened or closed this link is still at it.
    queueMicrotask(() => this.#handler.closed(code, reason))
  }
}
