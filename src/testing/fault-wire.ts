import type { Frame } from '../codec/codec.js'
import type { Direction, FaultLog } from './fault-log.js'
import { seededRandom } from './seeded-random.js'

/** What happens at random, decided for each frame: probabilities from 0 to 1. */
export interface FaultChances {
  /** The link breaks, and both ends are told; the frame arrives before, or is lost, as often. */
  readonly cut?: number
  /** From here on nothing arrives in this direction, and nobody is told. */
  readonly blackHole?: number
  /** The end that reads is told that the link broke; the other one goes on believing in it. */
  readonly halfClose?: number
}

/** Milliseconds that a frame takes: always so many, or at random from so many to so many. */
export type Delay = number | readonly [from: number, to: number]

/** What applies to the links of one `faultLink`, and may change at any time. */
export interface FaultRules extends FaultChances {
  readonly seed: number
  readonly delay: Readonly<Record<Direction, Delay>>
}

/** One end of a link, as what lies between them sees it. */
export interface WireEnd {
  frame(frame: Frame): void
  /** The other end has closed. */
  closed(code: number, reason: string): void
  /** The link broke. */
  broken(): void
}

type Item = { readonly frame: Frame } | { readonly code: number; readonly reason: string }

interface Lane {
  readonly random: () => number
  readonly queue: Item[]
  /** Frames sent. */
  count: number
  /** When the last one arrives. */
  lastAt: number
  hole: boolean
  over: boolean
}

/** What lies between the ends of one link: two lanes, each in order, each with its faults. */
export class FaultWire {
  readonly #number: number
  readonly #rules: () => FaultRules
  readonly #log: FaultLog
  readonly #ends: Readonly<Record<Direction, WireEnd>>
  readonly #lanes: Readonly<Record<Direction, Lane>>

  /** @param ends what reads, by direction: `up` the server's end, `down` the client's */
  constructor(
    number: number,
    rules: () => FaultRules,
    log: FaultLog,
    ends: Readonly<Record<Direction, WireEnd>>,
  ) {
    this.#number = number
    this.#rules = rules
    this.#log = log
    this.#ends = ends
    this.#lanes = { up: lane(rules().seed, number, 0), down: lane(rules().seed, number, 1) }
  }

  /** Whether both ends have been told of its end. */
  get over(): boolean {
    return this.#lanes.up.over && this.#lanes.down.over
  }

  /** Whether what is sent this way arrives. */
  passes(direction: Direction): boolean {
    const { hole, over } = this.#lanes[direction]
    return !(hole || over)
  }

  send(direction: Direction, frame: Frame): void {
    const lane = this.#lanes[direction]
    lane.count++
    // Drawn for every frame, so that what was lost does not shift the numbers of those behind it.
    const [fault, arrives, slow] = [lane.random(), lane.random(), lane.random()]
    if (!this.passes(direction)) return
    const { cut = 0, blackHole = 0, halfClose = 0 } = this.#rules()
    const name = `${direction} ${lane.count}`
    if (fault < cut) {
      // What arrives comes behind what was sent before it.
      if (arrives < 0.5)
        for (const item of [...lane.queue.splice(0), { frame }]) this.#deliver(direction, item)
      this.cut(`${name} ${arrives < 0.5 ? 'arrived' : 'lost'}`)
    } else if (fault < cut + blackHole) this.blackHole(direction, name)
    else if (fault < cut + blackHole + halfClose) this.halfClose(direction, name)
    else this.#pass(direction, { frame }, slow)
  }

  /** One end closes in order: the other one hears of it behind what was sent before. */
  close(direction: Direction, code: number, reason: string): void {
    if (this.passes(direction)) this.#pass(direction, { code, reason }, this.#lanes[direction].random())
  }

  cut(detail = ''): void {
    if (this.over) return
    this.#log.add(this.#number, 'cut', detail)
    this.#break('up')
    this.#break('down')
  }

  blackHole(direction: Direction, detail: string = direction): void {
    const lane = this.#lanes[direction]
    if (lane.hole || lane.over) return
    this.#log.add(this.#number, 'black hole', detail)
    lane.hole = true
    lane.queue.length = 0
  }

  halfClose(direction: Direction, detail: string = direction): void {
    if (this.#lanes[direction].over) return
    this.#log.add(this.#number, 'half close', detail)
    this.#break(direction)
    // What the end that has gone would have sent never comes.
    const back = this.#lanes[direction === 'up' ? 'down' : 'up']
    back.hole = true
    back.queue.length = 0
  }

  /** Takes an end's word that it is gone: it is told nothing more. */
  forget(direction: Direction): void {
    const lane = this.#lanes[direction]
    lane.over = true
    lane.queue.length = 0
  }

  #break(direction: Direction): void {
    if (this.#lanes[direction].over) return
    this.forget(direction)
    // Never from within a method of the link.
    queueMicrotask(() => this.#ends[direction].broken())
  }

  #pass(direction: Direction, item: Item, slow: number): void {
    const lane = this.#lanes[direction]
    const delay = this.#rules().delay[direction]
    const ms = typeof delay === 'number' ? delay : delay[0] + Math.floor(slow * (delay[1] - delay[0] + 1))
    const now = performance.now()
    lane.lastAt = Math.max(lane.lastAt, now + ms)
    if (lane.lastAt <= now && lane.queue.length === 0) return this.#deliver(direction, item)
    lane.queue.push(item)
    // Whichever timer comes first brings the first: two of real time may come the wrong way round.
    setTimeout(() => {
      const next = lane.queue.shift()
      if (next !== undefined) this.#deliver(direction, next)
    }, lane.lastAt - now)
  }

  #deliver(direction: Direction, item: Item): void {
    if ('frame' in item) return this.#ends[direction].frame(item.frame)
    this.forget(direction)
    this.#ends[direction].closed(item.code, item.reason)
  }
}

function lane(seed: number, number: number, direction: number): Lane {
  const random = seededRandom(seed, number, direction)
  return { random, queue: [], count: 0, lastAt: 0, hole: false, over: false }
}
