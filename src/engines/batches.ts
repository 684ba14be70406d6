/** Items of one batch at most, and bytes: a script must not hold up Redis for long. */
const MOST_ITEMS = 128
const MOST_BYTES = 256 * 1024

interface Batch<Item> {
  readonly items: Item[]
  bytes: number
}

/** Gathers what one turn of the event loop sends to a place, in order, so that it goes out together. */
export class Batches<Place, Item> {
  readonly #send: (items: readonly Item[], place: Place) => void
  readonly #batches = new Map<Place, Batch<Item>>()
  #isDue = false

  /** @param send is called once for each batch: at the end of the turn, when it is full, or by `flush` */
  constructor(send: (items: readonly Item[], place: Place) => void) {
    this.#send = send
  }

  add(place: Place, item: Item, bytes: number): void {
    const standing = this.#batches.get(place)
    const fits =
      standing && standing.items.length < MOST_ITEMS && standing.bytes + bytes <= MOST_BYTES
        ? standing
        : undefined
    if (fits) {
      fits.items.push(item)
      fits.bytes += bytes
      return
    }
    if (standing) this.#take(place, standing)
    this.#batches.set(place, { items: [item], bytes })
    if (this.#isDue) return
    this.#isDue = true
    // After the promises that are resolved in this turn: whoever waited for one sends along.
    process.nextTick(() => this.flush())
  }

  /** Sends what is there, before something that must come after it. */
  flush(): void {
    this.#isDue = false
    for (const [place, batch] of this.#batches) this.#take(place, batch)
  }

  #take(place: Place, { items }: Batch<Item>): void {
    this.#batches.delete(place)
    this.#send(items, place)
  }
}
