import type { Frame } from '../codec/codec.js'
import { packFrame, packFrames } from './websocket-frames.js'

/**
 * What was packed last for one of many links that are flushed one after another.
 *
 * A broadcast queues the same frames for all: those are packed once, and the buffer is shared. Nobody may write to it,
 * nor to a frame between `pack` and `clear`.
 */
export class PackedTurn {
  #first: Frame | undefined
  #all: readonly Frame[] | undefined
  #packed: Buffer | undefined

  /**
   * Packs frames, each with its WebSocket header, unless the link before had the same.
   *
   * @param first first frame
   * @param all all of them, the first as well; undefined when there is no other
   * @param total bytes of all with their headers
   */
  pack(first: Frame, all: readonly Frame[] | undefined, total: number): Buffer {
    if (this.#packed !== undefined && first === this.#first && isSame(all, this.#all)) return this.#packed
    const packed = all === undefined ? packFrame(first, total) : packFrames(all, 0, all.length)
    this.#first = first
    this.#all = all
    this.#packed = packed
    return packed
  }

  /** Forgets it: the links have been flushed. */
  clear(): void {
    this.#first = undefined
    this.#all = undefined
    this.#packed = undefined
  }
}

function isSame(some: readonly Frame[] | undefined, others: readonly Frame[] | undefined): boolean {
  if (some === undefined || others === undefined) return some === others
  if (some.length !== others.length) return false
  // From the end: answers of their own come behind what all were sent.
  for (let i = some.length - 1; i > 0; i--) if (some[i] !== others[i]) return false
  return true
}
