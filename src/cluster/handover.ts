import { pack, unpack } from '../codec/packed.js'
import type { KeyValue } from '../engines/key-value.js'
import { hasCode } from '../errors.js'

/** What a connection has been sent, and how much of it has come. */
export interface MovedFrames {
  /** The secret part of its resume token. */
  readonly secret: string
  /** The highest attempt to resume so far. */
  readonly attempt: number
  /** Counted messages that have come. */
  readonly received: number
  /** Counted messages that were sent before those in `retained`, and how many of all the client is known to have. */
  readonly before: number
  readonly acknowledged: number
  /** Frames of msgpack that were sent and not acknowledged, and those that have no number yet, in order. */
  readonly retained: readonly Uint8Array[]
  readonly held: readonly Uint8Array[]
}

/** A topic that its client is subscribed to, by the number that it knows. */
export type MovedTopic = readonly [service: string, name: string, number: number]

/** What is known of a connection that goes on at another server. */
export interface MovedConnection extends MovedFrames {
  readonly id: string
  readonly session: { readonly id: string; readonly stored: boolean }
  /** What `authenticate` has returned; empty without one. */
  readonly user: readonly unknown[]
  readonly userId: string | null
  readonly data: Readonly<Record<string, unknown>>
  readonly rooms: readonly string[]
  readonly topics: readonly MovedTopic[]
  /** What services have given by their names, packed. */
  readonly given: Readonly<Record<string, Uint8Array>>
  /** The service table, as ids in frames mean it. */
  readonly services: string
}

/** A connection that waits for its client. */
export interface Waiting {
  readonly state: MovedConnection
  /** The version of its entry: whoever removes that one goes on with it. */
  readonly version: number
}

/** Of the form below; another one is not read. */
const FORMAT = 2
const PREFIX = '$moved/'
/** Bytes besides the frames: of data, user, rooms and the rest. */
const REST = 64 * 1024
/** Bytes that services give, of which none count as the rest. */
const GIVEN = 256 * 1024
/** Counted for each frame besides its bytes, as where they are retained. */
const OVERHEAD = 128

/** Connections that a server has left to the others when it stopped, in the engine they share. */
export class Handover {
  readonly #kv: KeyValue

  constructor(kv: KeyValue) {
    this.#kv = kv
  }

  /**
   * Leaves a packed connection to whichever server its client comes to. Rejects with what the engine refuses it with.
   *
   * @param ttl milliseconds for which it waits
   */
  async leave(id: string, bytes: Uint8Array, ttl: number): Promise<void> {
    await this.#kv.set(PREFIX + id, bytes, { ttl })
  }

  /** The connection of an id, while it waits; also undefined for one that a server of another version has left. */
  async find(id: string): Promise<Waiting | undefined> {
    if (id === '' || id.length > MAX_ID) return undefined
    const entry = await this.#kv.get(PREFIX + id)
    const state = entry && readMoved(entry.value)
    return entry && state && { state, version: entry.version }
  }

  /** Takes it away; to false when another server was first. */
  async take({ state, version }: Waiting): Promise<boolean> {
    try {
      return await this.#kv.delete(PREFIX + state.id, { ifVersion: version })
    } catch (error) {
      if (hasCode(error) && error.code === 'ENGINE_CONFLICT') return false
      throw error
    }
  }
}

/** Characters of an id; a token comes from a client. */
const MAX_ID = 100
/** Bytes of the largest value that engines take, less what goes around and along. */
const MOST = 16 * 1024 * 1024 - 512 * 1024

/**
 * Packs a connection; undefined when it has more bytes than the limit, or something in it cannot be encoded.
 *
 * @param limit bytes of frames
 */
export function packMoved(state: MovedConnection, limit: number): Uint8Array | undefined {
  let bytes: Uint8Array
  try {
    bytes = pack([FORMAT, state])
  } catch (error) {
    if (hasCode(error)) return undefined
    throw error
  }
  const count = state.retained.length + state.held.length
  const given = Object.values(state.given).reduce((sum, { length }) => sum + length, 0)
  const most = Math.min(limit, MOST - REST) - count * OVERHEAD + REST
  return bytes.length - Math.min(given, GIVEN) > most ? undefined : bytes
}

/** Reads what was packed; undefined for what a server of another version has packed. */
export function readMoved(bytes: Uint8Array): MovedConnection | undefined {
  try {
    const [format, state] = unpack(bytes) as [unknown, MovedConnection]
    return format === FORMAT ? state : undefined
  } catch {
    return undefined
  }
}
