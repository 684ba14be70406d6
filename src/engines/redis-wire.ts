import { type createClient, RESP_TYPES } from 'redis'

const CONNECT_TIMEOUT = 1000

/** A client of node-redis for one server. */
export type Client = ReturnType<typeof createClient>

/** A reply, with texts as bytes. */
export type Reply = Buffer | number | null | readonly Reply[]

/** Words of a command. */
export type Words = readonly (string | Buffer)[]

/** What a client gives back as bytes. */
export const AS_BUFFERS = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const

/** What connections tell of themselves. */
export interface WireEvents {
  /** Commands can be sent, for the first time or again, or to one more server. */
  ready(): void
  /** Something came on a channel that is subscribed to. */
  heard(channel: string, message: Buffer): void
  /** A connection for subscriptions is back: what came meanwhile was missed. */
  again(): void
  /** A connection is lost, or none can be made. */
  failed(cause: unknown): void
}

/** Connections to one Redis or to a cluster: they come back by themselves. */
export interface RedisWire {
  /** Whether channels belong to slots as keys do: `SPUBLISH` in place of `PUBLISH`. */
  readonly sharded: boolean
  /** Whether commands can be sent; of a cluster, to those of its servers that are there. */
  readonly isReady: boolean
  /** Whether every connection stands: all that is subscribed to is heard. */
  readonly isWhole: boolean
  connect(): void
  /** Sends a command to where the key, or the channel, is; may wait and repeat one that surely was not done. */
  send(key: string, words: Words): Promise<Reply>
  /** Loads scripts where that can be done beforehand; rejects with what Redis has refused it with. */
  load(texts: readonly string[]): Promise<unknown>
  /** Hears channels, all of one `group`. */
  subscribe(channels: readonly string[]): Promise<unknown>
  /** Hears them no longer. */
  unsubscribe(channels: readonly string[]): Promise<unknown>
  /** Channels of the same group may go in one command. */
  group(channel: string): number
  destroy(): void
}

/** Settings with which a client comes through a freeze, a black hole and a restart. */
export function settings(given: { readonly socket?: object } = {}) {
  return {
    socket: {
      ...given.socket,
      connectTimeout: CONNECT_TIMEOUT,
      socketTimeout: 5000,
      reconnectStrategy: (attempt: number) => Math.min(50 * 2 ** attempt, 1000) + Math.random() * 100,
    },
    pingInterval: 2000,
    // The default costs more than half of the throughput, and does not end calls of a frozen server.
    commandOptions: { timeout: undefined as never },
    disableOfflineQueue: true,
    maintNotifications: 'disabled' as const,
  }
}

/** Whether Redis has refused a command for now, whatever it was about: it surely had no effect. */
export function isRefusedForNow(error: unknown): boolean {
  return /^(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY|TRYAGAIN) /.test((error as Error).message)
}

/** Ends a client, also one that never was connected. */
export function destroy(client: { destroy(): void }): void {
  try {
    client.destroy()
  } catch {
    // It was not connected.
  }
}
