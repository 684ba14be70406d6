/** The open links of a transport: what `stop` terminates, and waits for. */
export class Links<L extends { terminate(): void }> implements Iterable<L> {
  readonly #links = new Set<L>()
  #waiting: (() => void)[] = []

  add(link: L): void {
    this.#links.add(link)
  }

  /** Takes a link out that has closed. */
  delete(link: L): void {
    this.#links.delete(link)
    if (this.#links.size > 0) return
    for (const resolve of this.#waiting) resolve()
    this.#waiting = []
  }

  /** Terminates every link; resolves once all have closed. */
  async terminate(): Promise<void> {
    if (this.#links.size === 0) return
    const closed = new Promise<void>(resolve => this.#waiting.push(resolve))
    for (const link of this.#links) link.terminate()
    await closed
  }

  [Symbol.iterator](): Iterator<L> {
    return this.#links.values()
  }
}
