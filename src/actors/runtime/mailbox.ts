import { DEFAULT_CAPACITY, type SpawnOptions } from './behaviour.js'
import { Ring } from './ring.js'

/** A message that waits, with what it is counted and found by. */
interface Slot<Message> {
  message: Message
  bytes: number
  readonly key: unknown
}

/**
 * A mailbox that knows the bytes and keys of what waits.
 *
 * Only actors with the options `size` or `key` have one; a plain `Ring` does for the others.
 */
export class MeasuredMailbox<Message extends object> {
  /** Bytes of all messages that wait. */
  bytes = 0
  readonly #slots = new Ring<Slot<Message>>()
  readonly #byKey: Map<unknown, Slot<Message>> | undefined
  readonly #options: SpawnOptions<Message>

  constructor(options: SpawnOptions<Message>) {
    this.#options = options
    if (options.overflow === 'latest-by-key') this.#byKey = new Map()
  }

  /** Messages that wait. */
  get length(): number {
    return this.#slots.length
  }

  /** Whether the bytes of a message fit; an empty mailbox takes one of any size. */
  fits(message: Message): boolean {
    const { bytes = Number.POSITIVE_INFINITY } = this.#options
    return this.length === 0 || this.bytes + this.#size(message) <= bytes
  }

  /** Puts a message in the place of the one with its key; gives that one. */
  replace(message: Message): Message | undefined {
    const slot = this.#byKey?.get(this.#key(message))
    if (slot === undefined) return undefined
    const before = slot.message
    const bytes = this.#size(message)
    this.bytes += bytes - slot.bytes
    slot.message = message
    slot.bytes = bytes
    return before
  }

  /** Adds a message at the end. */
  push(message: Message): void {
    this.#slots.push(this.#slot(message))
  }

  /** Puts a message back at the beginning. */
  unshift(message: Message): void {
    this.#slots.unshift(this.#slot(message))
  }

  /** Takes the oldest message; undefined when empty. */
  shift(): Message | undefined {
    const slot = this.#slots.shift()
    if (slot === undefined) return undefined
    this.bytes -= slot.bytes
    if (this.#byKey?.get(slot.key) === slot) this.#byKey.delete(slot.key)
    return slot.message
  }

  #slot(message: Message): Slot<Message> {
    const slot = { message, bytes: this.#size(message), key: this.#key(message) }
    this.bytes += slot.bytes
    this.#byKey?.set(slot.key, slot)
    return slot
  }

  #size(message: Message): number {
    return this.#options.size?.(message) ?? 0
  }

  #key(message: Message): unknown {
    return this.#options.key?.(message)
  }
}

/** What waits for an actor: with sizes and keys where its options ask for them. */
export type Mailbox<Message extends object> = Ring<Message> | MeasuredMailbox<Message>

/** Makes the mailbox that the options ask for. */
export function createMailbox<Message extends object>(options: SpawnOptions<Message>): Mailbox<Message> {
  return options.size === undefined && options.key === undefined ? new Ring() : new MeasuredMailbox(options)
}

/** Whether one message that waits needs no look at the options: there is room, whatever it is. */
export function isPlain({ capacity = DEFAULT_CAPACITY, size, key, overflow }: SpawnOptions): boolean {
  return capacity > 0 && size === undefined && key === undefined && overflow !== 'drop-oldest'
}
