/** Bytes that a batch begins with, so that few of it are copied again as it grows. */
const FIRST = 2048
/** Bytes of a batch at most, unless one message has more. */
const MOST_BYTES = 256 * 1024
/** Bytes before each message, with its length. */
const LENGTH = 4

/** Whether anybody heard what was sent together. */
interface Outcome {
  readonly heard: Promise<boolean>
  resolve(wasHeard: boolean): void
  reject(reason: unknown): void
}

/** What has been gathered for one topic. */
export interface Batch extends Outcome {
  /** How many messages it has. */
  readonly count: number
  /** The messages as `eachMessage` reads them. */
  readonly bytes: Buffer
}

/** Gathers what one turn of the event loop sends to a topic, in order and copied at once, so that it goes out as one message. */
export class Outbox {
  readonly #send: (topic: string, batch: Batch) => void
  readonly #batches = new Map<string, Gathering>()
  #isDue = false

  /** @param send is called once for each batch: at the end of the turn, when it is full, or by `flush` */
  constructor(send: (topic: string, batch: Batch) => void) {
    this.#send = send
  }

  /** Adds a message; gives the promise of its batch. */
  add(topic: string, message: Uint8Array): Promise<boolean> {
    let batch = this.#batches.get(topic)
    if (batch !== undefined && !batch.takes(message.length)) {
      this.#take(topic, batch)
      batch = undefined
    }
    if (batch === undefined) {
      batch = new Gathering(message.length)
      this.#batches.set(topic, batch)
      this.#schedule()
    }
    batch.add(message)
    return batch.heard
  }

  /** Sends what is there, before something that must come after it. */
  flush(): void {
    this.#isDue = false
    for (const [topic, batch] of this.#batches) this.#take(topic, batch)
  }

  #take(topic: string, batch: Gathering): void {
    this.#batches.delete(topic)
    this.#send(topic, batch)
  }

  #schedule(): void {
    if (this.#isDue) return
    this.#isDue = true
    // After the promises that are resolved in this turn: whoever waited for one sends along.
    process.nextTick(() => this.flush())
  }
}

class Gathering implements Batch {
  count = 0
  heard!: Promise<boolean>
  resolve!: (wasHeard: boolean) => void
  reject!: (reason: unknown) => void
  #joined: Buffer
  #end = 0

  /** @param first bytes of the first message */
  constructor(first: number) {
    this.#joined = Buffer.allocUnsafe(Math.max(FIRST, LENGTH + first))
    // One promise for all of it: who sends much has one of them to look after.
    this.heard = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  get bytes(): Buffer {
    return this.#joined.subarray(0, this.#end)
  }

  takes(length: number): boolean {
    return this.#end + LENGTH + length <= MOST_BYTES
  }

  add(message: Uint8Array): void {
    const { length } = message
    const end = this.#end + LENGTH + length
    if (end > this.#joined.length) this.#grow(end)
    this.#joined.writeUInt32BE(length, this.#end)
    this.#joined.set(message, this.#end + LENGTH)
    this.#end = end
    this.count++
  }

  #grow(end: number): void {
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#joined.length, end))
    this.#joined.copy(larger, 0, 0, this.#end)
    this.#joined = larger
  }
}
