/** Milliseconds of a period. */
const PERIOD = 100

/**
 * Taps on actors that come off for the rest of a period once so many messages were heard in it.
 *
 * So what is heard is a run of messages as they were, and what looking costs is bounded however much there is to see.
 */
export class TapBudget {
  readonly #most: number
  readonly #attach: () => (() => void)[]
  #taps: (() => void)[] = []
  #heard = 0
  #timer: NodeJS.Timeout | undefined

  /**
   * @param perSecond messages heard of a second, about
   * @param attach taps whatever is to be tapped; returns what takes the taps away
   */
  constructor(perSecond: number, attach: () => (() => void)[]) {
    this.#most = Math.ceil((perSecond * PERIOD) / 1000)
    this.#attach = attach
  }

  begin(): void {
    this.#taps = this.#attach()
    this.#timer = setInterval(() => {
      this.#heard = 0
      if (this.#taps.length === 0) this.#taps = this.#attach()
    }, PERIOD).unref()
  }

  /** One message was heard; returns whether it was the last one of this period. */
  heard(): boolean {
    if (++this.#heard < this.#most) return false
    this.#off()
    return true
  }

  end(): void {
    clearInterval(this.#timer)
    this.#off()
  }

  #off(): void {
    for (const untap of this.#taps.splice(0)) untap()
  }
}
