/** What stands under a key. */
export interface KeyValueEntry {
  readonly value: Uint8Array
  /** A positive whole number that grows with every write of the key and MUST NOT be used again for it. */
  readonly version: number
}

/** Conditions of a write. */
export interface WriteOptions {
  /**
   * The version that must stand there now, 0 for none.
   *
   * If another stands there, the write MUST have no effect and reject with `ENGINE_CONFLICT`.
   */
  readonly ifVersion?: number
  /** Milliseconds after which the entry is gone. Default: it stays. */
  readonly ttl?: number
}

/**
 * Key-value with compare-and-set.
 *
 * - A write MUST be durable, as far as the engine is at all, when its promise resolves.
 * - Of several writes with the same `ifVersion` at most one MUST succeed.
 * - Values MUST be copied: what the caller does to the array later has no effect, in either direction.
 * - An entry MUST NOT be dropped before its time. An engine without room MUST refuse the write with
 *   `ENGINE_UNAVAILABLE`.
 * - Keys are strings of 1 to 512 bytes of UTF-8; values of up to 16 MiB. Others MUST be refused with
 *   `INVALID_ARGUMENTS`.
 */
export interface KeyValue {
  /** What stands under a key; undefined when nothing does, or its time is over. */
  get(key: string): Promise<KeyValueEntry | undefined>
  /** Writes a value; resolves to its version. @throws SocketStreamError `ENGINE_CONFLICT` */
  set(key: string, value: Uint8Array, options?: WriteOptions): Promise<number>
  /** Removes an entry; resolves to whether there was one. @throws SocketStreamError `ENGINE_CONFLICT` */
  delete(key: string, options?: Pick<WriteOptions, 'ifVersion'>): Promise<boolean>
  /** Keys that begin with `prefix` and come after `after`, by their bytes; at most `limit`, default 1,000. */
  keys(options?: { prefix?: string; after?: string; limit?: number }): Promise<string[]>
}
