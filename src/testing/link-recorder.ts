import type { Frame } from '../codec/codec.js'
import type { LinkHandler } from '../transports/transport.js'

/** How a link ended. */
export interface LinkEnding {
  readonly code: number
  readonly reason: string
}

/** A link handler that records what happens and lets a test wait for it. */
export class LinkRecorder implements LinkHandler {
  /** Frames that arrived, in order. */
  readonly frames: Frame[] = []
  /** How often the link drained. */
  drains = 0
  /** Every call of `closed`; there must be one at most. */
  readonly endings: LinkEnding[] = []
  /** What the link does with a frame besides recording it. */
  onframe: (frame: Frame) => void = () => undefined
  readonly #waiting = new Set<{ ready: () => boolean; resolve: () => void }>()

  frame(frame: Frame): void {
    this.frames.push(frame)
    this.onframe(frame)
    this.#wake()
  }

  drained(): void {
    this.drains++
    this.#wake()
  }

  closed(code: number, reason: string): void {
    this.endings.push({ code, reason })
    this.#wake()
  }

  /** Resolves once this many frames have arrived since the start, with all of them. */
  async received(count: number): Promise<readonly Frame[]> {
    await this.#until(() => this.frames.length >= count)
    return this.frames
  }

  /** Resolves once the link has drained this often. */
  async drainedTimes(count: number): Promise<void> {
    await this.#until(() => this.drains >= count)
  }

  /** Resolves once the link is closed. */
  async ended(): Promise<LinkEnding> {
    await this.#until(() => this.endings.length > 0)
    return this.endings[0] ?? { code: 1006, reason: '' }
  }

  #until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve()
    return new Promise(resolve => this.#waiting.add({ ready, resolve }))
  }

  #wake(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.ready()) continue
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }
}
