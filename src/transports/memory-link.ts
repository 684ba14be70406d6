import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'
import type { Link, LinkHandler } from './transport.js'

/** Counted for each frame besides its length, so that empty frames fill a link too. */
const FRAME_OVERHEAD = 2

/** Slots that a drained queue may keep for the next turn. */
const KEPT_SLOTS = 1024

/** Delivery turns after which other work gets a chance: microtasks alone would starve timers. */
const TURNS_BEFORE_YIELD = 1024

interface Ending {
  readonly code: number
  readonly reason: string
}

const DROPPED: Ending = { code: 1006, reason: '' }

/** What both ends of a link have in common. */
export interface MemoryLinkOptions {
  readonly maxFrame: number
  readonly highWaterMark: number
}

/**
 * One end of a link in memory; what it sends arrives at its peer in the next microtask turn.
 *
 * Frames are passed by reference. Until `listen` is called, and while paused, they wait here,
 * counted as the peer's `bufferedBytes`.
 */
export class MemoryEnd implements Link {
  readonly protocol: string
  readonly #options: MemoryLinkOptions
  readonly #onclosed: ((end: MemoryEnd) => void) | undefined
  #peer: MemoryEnd = this
  #handler: Partial<LinkHandler> | undefined
  // Two queues that swap: frames arrive in one while the other is read. Slots are reused and
  // counted by hand, because truncating an array gives its memory away and costs more than a frame.
  #arriving: (Frame | undefined)[] = []
  #arrived = 0
  #reading: (Frame | undefined)[] = []
  #read = 0
  #toRead = 0
  #waitingBytes = 0
  #scheduled = false
  #paused = false
  #full = false
  #ending: Ending | undefined
  #ended = false

  private constructor(protocol: string, options: MemoryLinkOptions, onclosed?: (end: MemoryEnd) => void) {
    this.protocol = protocol
    this.#options = options
    this.#onclosed = onclosed
  }

  /** Makes the two ends of a link; `onclosed` is told once the server's end has closed. */
  static pair(protocol: string, options: MemoryLinkOptions, onclosed: (server: MemoryEnd) => void) {
    const server = new MemoryEnd(protocol, options, onclosed)
    const client = new MemoryEnd(protocol, options)
    server.#peer = client
    client.#peer = server
    return { server, client }
  }

  /** Takes the events of this end; what came before is delivered now, in order. */
  listen(handler: Partial<LinkHandler>): void {
    this.#handler = handler
    this.#schedule()
  }

  get bufferedBytes(): number {
    return this.#peer.#waitingBytes
  }

  send(frame: Frame): boolean {
    if (this.#ending) return false
    const peer = this.#peer
    peer.#arriving[peer.#arrived++] = frame
    peer.#waitingBytes += frame.length + FRAME_OVERHEAD
    if (peer.#waitingBytes > this.#options.highWaterMark) this.#full = true
    if (!peer.#scheduled) peer.#schedule()
    return !this.#full
  }

  pause(): void {
    // Nothing more will come but the end, which must not wait for a resume.
    if (this.#ending) return
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  close(code = 1000, reason = ''): void {
    if (this.#ending) {
      this.#end(this.#ending)
      return
    }
    checkCloseCode(code)
    const ending = { code, reason: truncateReason(reason) }
    // The peer first reads what was sent before: its end comes behind its queue.
    this.#peer.#ending ??= ending
    this.#peer.#schedule()
    this.#end(ending)
  }

  terminate(): void {
    if (this.#ended) return
    this.#peer.#end(this.#peer.#ending ?? DROPPED)
    this.#end(this.#ending ?? DROPPED)
  }

  /** Closes this end in the next turn, leaving unread what waits for it. */
  #end(ending: Ending): void {
    this.#ending = ending
    this.#paused = false
    this.#arriving = []
    this.#reading = []
    this.#arrived = this.#read = this.#toRead = this.#waitingBytes = 0
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#ended || this.#paused || this.#handler === undefined) return
    this.#scheduled = true
    deliverSoon(this)
  }

  /** Hands over what has arrived; called once per turn by the delivery loop. */
  deliver(): void {
    this.#scheduled = false
    if (this.#read === this.#toRead) this.#swap()
    while (this.#read < this.#toRead && !this.#paused) this.#deliverOne()
    if (this.#read < this.#toRead || this.#paused) return
    // What came during the loop waits for the next turn, as does the end behind it.
    if (this.#arrived > 0) this.#schedule()
    else if (this.#ending) this.#finish(this.#ending)
    else this.#peer.#drained()
  }

  #swap(): void {
    const drained = this.#reading
    this.#reading = this.#arriving
    this.#toRead = this.#arrived
    this.#read = 0
    this.#arriving = drained.length > KEPT_SLOTS ? [] : drained
    this.#arrived = 0
  }

  #deliverOne(): void {
    const at = this.#read++
    const frame = this.#reading[at]
    this.#reading[at] = undefined
    if (frame === undefined) return
    this.#waitingBytes -= frame.length + FRAME_OVERHEAD
    if (frame.length > this.#options.maxFrame) this.close(1009, 'Frame too big')
    else this.#handler?.frame?.(frame)
  }

  #drained(): void {
    if (!this.#full || this.#ending) return
    this.#full = false
    this.#handler?.drained?.()
  }

  #finish(ending: Ending): void {
    if (this.#ended) return
    this.#ended = true
    this.#onclosed?.(this)
    this.#handler?.closed?.(ending.code, ending.reason)
  }
}

let ready: MemoryEnd[] = []
let spare: MemoryEnd[] = []
let turns = 0

const yieldThen: (task: () => void) => void =
  typeof setImmediate === 'function' ? setImmediate : task => setTimeout(task, 0)

function deliverSoon(end: MemoryEnd): void {
  if (ready.push(end) > 1) return
  turns = (turns + 1) % TURNS_BEFORE_YIELD
  if (turns === 0) yieldThen(deliverAll)
  else queueMicrotask(deliverAll)
}

function deliverAll(): void {
  const ends = ready
  ready = spare
  for (const end of ends) {
    try {
      end.deliver()
    } catch (error) {
      // A handler's fault surfaces as an uncaught error, but must not hold up the other links.
      queueMicrotask(() => {
        throw error
      })
    }
  }
  ends.length = 0
  spare = ends
}
