/**
 * Envelope kinds, header layout and limits of protocol version 1: pure constants.
 *
 * Every frame is one array `[kind, …integers, extensions?, payload]`. Which integers a kind has is
 * in `HEADERS`; the payload is always last, so that a header is read without touching it.
 * `docs/protocol.md` is the authority on what the kinds mean.
 */

/** The protocol version that hello and welcome carry. */
export const PROTOCOL_VERSION = 1

/** What a WebSocket subprotocol begins with; the name of the codec follows. */
export enum SUBPROTOCOL {
  PREFIX = 'ss1.',
}

/** WebSocket subprotocols in order of preference, by codec name. */
export const SUBPROTOCOLS = { msgpack: 'ss1.msgpack', json: 'ss1.json' } as const

/**
 * Envelope kinds. 0–15 are counted for resume, 16–31 never.
 *
 * An enum, because bundlers then write the numbers themselves into the browser's code.
 */
export enum KIND {
  MESSAGE = 0,
  CALL = 1,
  REPLY = 2,
  ERROR = 3,
  ITEM = 4,
  END = 5,
  CANCEL = 6,
  CREDIT = 7,
  PUBLICATION = 8,
  SUBSCRIBE = 9,
  UNSUBSCRIBE = 10,
  TOPIC = 11,
  HELLO = 16,
  WELCOME = 17,
  ACK = 18,
  PING = 19,
  PONG = 20,
  GO_AWAY = 21,
  CLOSE = 22,
  NEXT = 23,
}

/** The parts of a frame's first integer; an enum, as `KIND` is. */
export enum FIRST {
  /** The five bits that hold the kind. */
  KIND = 0x1f,
  /** Set when an extension map stands before the payload. */
  EXTENSIONS = 0x20,
  /** Set when the message may be dropped instead of queued. */
  VOLATILE = 0x40,
}

export const KIND_MASK = FIRST.KIND
export const FLAG_EXTENSIONS = FIRST.EXTENSIONS
export const FLAG_VOLATILE = FIRST.VOLATILE

/** Which header integers a kind has: a service id, an id (correlation, topic or code), both or none. */
export enum HEADER {
  NONE = 0,
  SERVICE = 1,
  ID = 2,
  SERVICE_AND_ID = 3,
}

/**
 * The header layout by kind, as in `KIND`; -1 where no kind is defined.
 *
 * One digit per kind, one more than in `HEADER`.
 */
export const HEADERS: readonly number[] = [...'24333333341300001111133100000000'].map(digit => +digit - 1)

/** Whether a kind counts towards resume. */
export function isCounted(kind: number): boolean {
  return kind < 16
}

/** Largest header integer: ids wrap around to small ones before they reach it. */
export const MAX_ID = 0xffff_ffff

/** What a payload may hold at the most, so that decoding it costs a bounded amount. */
export enum LIMITS {
  /** Levels of arrays, objects and sets inside one another. */
  depth = 100,
  /** Values in one frame, members of containers and object keys' values included. */
  elements = 100_000,
}

/** Extensions of one message, by name: trace, deadline, idempotency key. */
export type Extensions = Readonly<Record<string, unknown>>
