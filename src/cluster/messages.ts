import { packList, unpackList } from './packed-list.js'

/** Whom a message is for, on whichever server they are. */
export type Whom =
  | { readonly all: true }
  | { readonly user: string }
  | { readonly session: string }
  | { readonly connection: string }
  /** Rooms or ids of connections; without `to` everybody but `spared`. */
  | { readonly to?: readonly string[]; readonly spared: readonly string[] }
  | { readonly channel: string; readonly tags?: Readonly<Record<string, string>> }

/** Why a session is over. */
export type Ended = 'destroyed' | 'regenerated'

/** What goes along with a question. */
export interface AskDetails {
  /** Of what is keyed, which. */
  readonly key?: string
  /** The idempotency key. */
  readonly once?: string
}

/** What servers say to each other. Payloads are packed by themselves: they keep their own limits. */
export type ClusterMessage =
  | readonly [
      'relay',
      from: string,
      service: string,
      whom: Whom,
      payload: Uint8Array,
      except: string | null,
      number: number,
    ]
  /** How many relays it has sent; null asks for that of whoever hears it. */
  | readonly ['count', from: string, number: number | null]
  | readonly ['ended', from: string, session: string, how: Ended]
  /** It stops: what it was asked is still answered, and nothing more is asked of it. */
  | readonly ['leaving', from: string]
  /** To who has said so: it is asked nothing behind this. */
  | readonly ['noted', from: string]
  /** To the same service on one server. */
  | readonly ['tell', from: string, service: string, payload: Uint8Array]
  /** `deadline`: the milliseconds for which the answer is waited for. Of what is keyed, `key` is which; `once` is the idempotency key. */
  | readonly [
      'ask',
      from: string,
      id: number,
      name: string,
      payload: Uint8Array,
      deadline: number,
      key: string | null,
      once: string | null,
    ]
  /** The answer is not waited for any more. */
  | readonly ['cancel', from: string, id: number]
  | readonly ['answer', from: string, id: number, payload: Uint8Array]
  /** Nothing was done: what was asked for is not there. */
  | readonly ['absent', from: string, id: number, text: string]
  | readonly ['failed', from: string, id: number, code: string, message: string, data: Uint8Array]

/** A message of one kind. */
export type ClusterMessageOf<Kind extends ClusterMessage[0]> = Extract<
  ClusterMessage,
  readonly [Kind, ...unknown[]]
>

const KINDS = new Set([
  'relay',
  'count',
  'ended',
  'leaving',
  'noted',
  'tell',
  'ask',
  'cancel',
  'answer',
  'absent',
  'failed',
])

/** @throws SocketStreamError `UNENCODABLE` */
export function encode(message: ClusterMessage): Uint8Array {
  return packList(message)
}

/** Reads a message; undefined for what is none, as a server of another version may send it. */
export function decode(bytes: Uint8Array): ClusterMessage | undefined {
  try {
    const message = unpackList(bytes)
    if (!KINDS.has(message?.[0] as string) || typeof message?.[1] !== 'string') return undefined
    if (message[0] === 'relay' && !(message[4] instanceof Uint8Array)) return undefined
    if (message[0] === 'ask' && typeof message[5] !== 'number') return undefined
    return message as unknown as ClusterMessage
  } catch {
    return undefined
  }
}
