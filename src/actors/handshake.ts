import type { Codec, Frame } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { PROTOCOL_VERSION } from '../protocol/envelope.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import type { LiveSession } from './live-session.js'
import { writeToken } from './resume-token.js'
import type { ResumeRefusal, ResumeRequest } from './resumption.js'

/** Milliseconds between pings that a client is told at least: the server looks once a second, and may be one late. */
const SHORTEST_PING = 2000

/** What a hello says, checked. */
export interface Hello {
  /** What the client says of itself; `{ session }` may hold a cookie's value. */
  readonly auth: unknown
  /** Names of optional parts of the protocol that the client knows. */
  readonly caps: readonly string[]
  /** The session token of an earlier welcome. */
  readonly session: string | undefined
  /** The connection that the client wants to go on with. */
  readonly resume: ResumeRequest | undefined
}

/** What a welcome tells of a connection that was to be resumed. */
export interface WelcomeResume {
  readonly resumed: boolean
  /** How many counted messages the server has. */
  readonly recv: number
  /** Why it was not resumed. */
  readonly reason: ResumeRefusal | undefined
}

/**
 * Reads a hello's payload.
 *
 * @throws SocketStreamError `BAD_FRAME` or `UNSUPPORTED_VERSION`
 */
export function readHello(payload: unknown): Hello {
  if (payload === null || typeof payload !== 'object' || Array.isArray(payload)) {
    throw new SocketStreamError('BAD_FRAME', 'a hello carries an object')
  }
  const { v, auth, caps = [], session, resume } = payload as Record<string, unknown>
  if (v !== PROTOCOL_VERSION) {
    throw new SocketStreamError(
      'UNSUPPORTED_VERSION',
      `protocol version ${typeof v === 'number' ? v : typeof v} is not spoken here; ${PROTOCOL_VERSION} is`,
    )
  }
  if (!Array.isArray(caps) || !caps.every(cap => typeof cap === 'string')) {
    throw new SocketStreamError('BAD_FRAME', 'caps must be a list of names')
  }
  return {
    auth,
    caps,
    session: typeof session === 'string' ? session : undefined,
    resume: resume === undefined || resume === null ? undefined : readResume(resume),
  }
}

function readResume(given: unknown): ResumeRequest {
  const { token, try: attempt, recv } = given as Record<string, unknown>
  if (typeof token !== 'string' || !isCount(attempt) || !isCount(recv)) {
    throw new SocketStreamError('BAD_FRAME', 'resume carries a token, a try and recv')
  }
  return { token, try: attempt, recv }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * Chooses the codec by the first frame, where no subprotocol named it.
 *
 * @throws SocketStreamError `BAD_FRAME`
 */
export function openCodec(broker: Broker, first: Frame): Codec {
  let factory = broker.codecs.get('msgpack')
  if (typeof first === 'string') {
    const isDigit = first.charCodeAt(0) >= 0x30 && first.charCodeAt(0) <= 0x39
    factory = first.startsWith('[') ? broker.codecs.get('json') : isDigit ? broker.textCodec : undefined
  }
  if (factory === undefined) throw new SocketStreamError('BAD_FRAME', 'the first frame is of no known codec')
  return factory.open(broker.shapes)
}

/**
 * The payload of a welcome; one without a session gives no token.
 *
 * @param byCookie whether the client's cookie named the session
 */
export function welcome(
  connection: BrokerConnection,
  session: LiveSession,
  byCookie: boolean,
  { resumed, recv, reason }: WelcomeResume,
): Record<string, unknown> {
  const { limits, connections } = connection.broker
  const { identity, resumables } = connections
  const { resumption } = connection
  // Scripts are not told the value of a cookie that is kept from them.
  const hidden = byCookie && (session.data.cookie as { httpOnly?: unknown }).httpOnly !== false
  return {
    v: PROTOCOL_VERSION,
    cid: connection.id,
    resumed,
    recv,
    ...(resumption && { token: writeToken(resumption.token, connections.moving?.node) }),
    ...(reason && { reason }),
    services: connections.publicServices(),
    session: connection.isClassic && !hidden ? identity.value(session.id) : identity.token(session.id),
    ping: Math.max(limits.ping, SHORTEST_PING),
    window: resumption === undefined ? 0 : resumables.settings!.window,
    calls: limits.calls,
    credit: limits.credit,
    maxFrame: limits.maxFrame,
  }
}
