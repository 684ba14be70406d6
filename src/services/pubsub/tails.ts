import type { LogEntry } from '../../engines/log.js'
import type { Channel } from './channel.js'
import { OVERHEAD } from './recoveries.js'

/** Milliseconds for which what was read is kept after the last one who had use for it. */
const KEPT = 1000
/** Bytes of all that is kept; past it what was read first is let go of. */
const MOST = 16 * 1024 * 1024

/**
 * The last entries of a channel, as they were read for somebody and have come since: who asks a little later needs no reading.
 *
 * Clients of a server that has died come back within seconds, each at a moment of its own.
 */
export class Tail {
  /** The run that it belongs to. */
  readonly run: number
  bytes = 0
  readonly #entries: LogEntry[] = []
  readonly #stop: () => void
  /** Adds the entry that follows; others are not for here. */
  readonly add: (entry: LogEntry) => void
  /** The offset before the first. */
  #before: number

  /** @param grew told by how many bytes */
  constructor(channel: Channel, since: number, most: number, grew: (bytes: number) => void) {
    this.run = channel.run
    this.#before = since
    const add = (entry: LogEntry): void => {
      if (entry.offset !== this.#before + this.#entries.length + 1) return
      const { bytes } = this
      this.#entries.push(entry)
      this.bytes += weightOf(entry)
      while (this.#entries.length > channel.rule.limit || this.bytes > most) this.#shift()
      grew(this.bytes - bytes)
    }
    this.add = add
    this.#stop = channel.listen({ entry: add })
  }

  /** The entries after an offset; undefined when it does not reach back so far. */
  after(offset: number): readonly LogEntry[] | undefined {
    return offset < this.#before ? undefined : this.#entries.slice(offset - this.#before)
  }

  /** Hears nothing any more. */
  end(): void {
    this.#stop()
  }

  #shift(): void {
    this.bytes -= weightOf(this.#entries.shift()!)
    this.#before++
  }
}

/** The tails of all channels, for as long as somebody has use for them. */
export class Tails {
  readonly #most: number
  #bytes = 0
  readonly #tails = new Map<Channel, { readonly tail: Tail; readonly timer: NodeJS.Timeout }>()

  /** @param most bytes of one channel */
  constructor(most: number) {
    this.#most = most
  }

  /** Keeps what was read for somebody, if it reaches back further than what is kept. */
  keep(channel: Channel, since: number, entries: readonly LogEntry[]): void {
    if (this.after(channel, since) !== undefined) return
    this.drop(channel)
    const tail = new Tail(channel, since, this.#most, bytes => {
      this.#bytes += bytes
    })
    for (const entry of entries) tail.add(entry)
    const timer = setTimeout(() => this.drop(channel), KEPT).unref()
    this.#tails.set(channel, { tail, timer })
    for (const oldest of this.#tails.keys()) {
      if (this.#bytes <= MOST) return
      this.drop(oldest)
    }
  }

  /** The entries after an offset, up to the last one that was delivered; undefined when they are to be read. */
  after(channel: Channel, offset: number): readonly LogEntry[] | undefined {
    const kept = this.#tails.get(channel)
    if (kept === undefined) return undefined
    if (kept.tail.run !== channel.run) {
      this.drop(channel)
      return undefined
    }
    const entries = kept.tail.after(offset)
    if (entries === undefined || offset + entries.length < channel.position!.offset) return undefined
    kept.timer.refresh()
    return entries
  }

  /** The channel is not kept any more. */
  drop(channel: Channel): void {
    const kept = this.#tails.get(channel)
    if (kept === undefined) return
    clearTimeout(kept.timer)
    kept.tail.end()
    this.#bytes -= kept.tail.bytes
    this.#tails.delete(channel)
  }
}

function weightOf({ payload }: LogEntry): number {
  return payload.length + OVERHEAD
}
