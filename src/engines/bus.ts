import type { Subscription } from './presence.js'

/** Hears what is sent to a node. The bytes MUST NOT be changed. What it throws MUST NOT disturb anybody else. */
export type BusHandler = (bytes: Uint8Array) => void

/**
 * Bytes from node to node, at most once.
 *
 * - What one sender sends to a node MUST arrive in order, each at most once, and not within the call that sends.
 * - `send` MUST resolve to false only when nobody listened. True proves nothing: whoever needs an answer waits
 *   for it, with a time limit.
 * - Node names are 1 to 512 bytes of UTF-8, messages of up to 16 MiB. Others MUST be refused with
 *   `INVALID_ARGUMENTS`.
 */
export interface Bus {
  /** Sends to all listeners of a node; resolves to whether there was one. */
  send(node: string, bytes: Uint8Array): Promise<boolean>
  /** Sends to all listeners of all nodes, the sender's own among them. */
  broadcast(bytes: Uint8Array): Promise<void>
  /** Hears what is sent to a node from now on. */
  listen(node: string, handler: BusHandler): Promise<Subscription>
}
