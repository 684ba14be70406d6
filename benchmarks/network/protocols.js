/**
 * The protocols as the load speaks them: bytes made beforehand, answers told by their first bytes.
 *
 * Requests of one protocol and size are all of one length and can be sent again and again: a call's id is free
 * once it is answered, and servers here answer in order.
 */
import { pack } from 'msgpackr'
import { json } from 'socketstream-server/codec/json'
import { msgpack } from 'socketstream-server/codec/msgpack'
import { BINARY, maskedFrame, TEXT } from './frames.js'

const KIND = { CALL: 1, REPLY: 2, PUBLICATION: 8, SUBSCRIBE: 9, HELLO: 16, WELCOME: 17, PING: 19, PONG: 20 }
/** Ids in the service table: what benchmarks/network/server.js defines first, and second. */
const RPC = 1
const PUBSUB = 2
/** What bodies are besides answers. */
export const READY = -1
export const OTHER = -2

/**
 * @typedef {object} Protocol
 * @property {(index: number) => string} path for the upgrade request of a connection
 * @property {string} [subprotocol]
 * @property {Buffer} [hello] frame to send once the link is open
 * @property {boolean} [ready] whether calls may be sent at once; otherwise after a body that is `READY`
 * @property {(body: Buffer) => number | Buffer} read how many answers or publications an incoming body has, or
 *   `READY` or `OTHER`; a buffer is the frame to reply with
 * @property {(slot: number, size: number, service: number) => Buffer} request the frame of one call with so many
 *   bytes of text; slots count from 0
 * @property {(channel: string, slot: number) => Buffer} [subscribe] frame that is answered once
 */

const binary = opened(msgpack())
const text = opened(json())

/**
 * What every call carries.
 *
 * @param {number} size bytes of its text
 */
export function message(size) {
  return { room: 'lobby', text: 'hello world '.repeat(Math.ceil(size / 12)).slice(0, size) }
}

/** @type {Protocol} */
const socketstream = {
  path: () => '/',
  subprotocol: 'ss1.msgpack',
  hello: maskedFrame(BINARY, binary.encode(KIND.HELLO, 0, 0, { v: 1, caps: [] })),
  read(body) {
    // [kind, …]: the kind is the second byte.
    const kind = body[1]
    if (kind === KIND.REPLY || kind === KIND.PUBLICATION) return 1
    if (kind === KIND.WELCOME) return READY
    return kind === KIND.PING ? maskedFrame(BINARY, binary.encode(KIND.PONG, 0, 0, 0)) : OTHER
  },
  request: (slot, size, service) => maskedFrame(BINARY, call(slot, size, service)),
  subscribe: (ch, slot) => maskedFrame(BINARY, binary.encode(KIND.SUBSCRIBE, PUBSUB, id(slot), { ch })),
}

/** @type {Protocol} */
const socketstreamJson = {
  path: () => '/',
  subprotocol: 'ss1.json',
  hello: maskedFrame(TEXT, text.encode(KIND.HELLO, 0, 0, { v: 1, caps: [] })),
  read: body => readJson(body, 0),
  request: (slot, size, service) => maskedFrame(TEXT, jsonCall(slot, size, service)),
  subscribe: (ch, slot) => maskedFrame(TEXT, text.encode(KIND.SUBSCRIBE, PUBSUB, id(slot), { ch })),
}

const engineIo = {
  /** Engine.IO 4 is a message, 2 a ping, 0 its own handshake. */
  pong: maskedFrame(TEXT, Buffer.from('3')),
}

/** @type {Record<string, Protocol>} */
export const protocols = {
  socketstream,
  'socketstream-json': socketstreamJson,

  /** The wire of 0.4: `service|callback|payload`. */
  'socketstream-text': {
    path: () => '/',
    hello: maskedFrame(TEXT, Buffer.from('0|1|{"c":"connect"}')),
    read(body) {
      if (body[0] === 0x31 || body[0] === 0x32) return 1
      return body.subarray(0, 4).toString('latin1') === '0|1|' ? READY : OTHER
    },
    request(slot, size, service) {
      const payload = JSON.stringify({ m: 'echo', p: [message(size)] })
      return maskedFrame(TEXT, Buffer.from(`${service}|${1000 + slot}|${payload}`))
    },
  },

  'socketstream-engine.io': {
    ...socketstream,
    path: () => '/engine.io/?EIO=4&transport=websocket&protocol=ss1.msgpack',
    subprotocol: undefined,
    read(body) {
      // Bytes are the envelope itself and begin with an array's byte, texts are Engine.IO's own.
      if (body[0] >= 0x90) return socketstream.read(body)
      return body[0] === 0x32 ? engineIo.pong : OTHER
    },
  },

  'socketstream-sockjs': {
    path: index => sockJsPath(index),
    hello: sockJsFrame(text.encode(KIND.HELLO, 0, 0, { v: 1, caps: [] })),
    read(body) {
      // o opens, h is a heartbeat; a["…","…"] has messages, which begin behind the first three characters.
      if (body[0] !== 0x61) return OTHER
      const first = readJson(body, 3)
      if (first === 1) return count(body)
      // A ping is answered inside SockJS's own frame.
      return typeof first === 'number' ? first : sockJsFrame(text.encode(KIND.PONG, 0, 0, 0))
    },
    request: (slot, size, service) => sockJsFrame(jsonCall(slot, size, service)),
    subscribe: (ch, slot) => sockJsFrame(text.encode(KIND.SUBSCRIBE, PUBSUB, id(slot), { ch })),
  },

  ws: {
    path: () => '/',
    ready: true,
    read: () => 1,
    request: (slot, size, service) => maskedFrame(BINARY, call(slot, size, service)),
  },

  'socket.io': {
    path: () => '/socket.io/?EIO=4&transport=websocket',
    hello: maskedFrame(TEXT, Buffer.from('40')),
    read(body) {
      // Behind Engine.IO's 4: 2 is an event, 3 an acknowledgement, 0 the connect.
      if (body[0] === 0x34 && (body[1] === 0x33 || body[1] === 0x32)) return 1
      if (body[0] === 0x34 && body[1] === 0x30) return READY
      return body[0] === 0x32 ? engineIo.pong : OTHER
    },
    request(slot, size) {
      return maskedFrame(TEXT, Buffer.from(`42${1000 + slot}${JSON.stringify(['echo', message(size)])}`))
    },
  },

  'socket.io-msgpack': {
    path: () => '/socket.io/?EIO=4&transport=websocket',
    hello: maskedFrame(BINARY, pack({ type: 0, nsp: '/', data: {} })),
    read(body) {
      if (body[0] < 0x80) return body[0] === 0x32 ? engineIo.pong : OTHER
      const type = body[body.indexOf('\xa4type', 0, 'latin1') + 5]
      return type === 2 || type === 3 ? 1 : type === 0 ? READY : OTHER
    },
    request(slot, size) {
      const packet = { type: 2, data: ['echo', message(size)], id: 1000 + slot, nsp: '/' }
      return maskedFrame(BINARY, pack(packet))
    },
  },

  'engine.io': {
    path: () => '/engine.io/?EIO=4&transport=websocket',
    read(body) {
      if (body[0] === 0x34) return 1
      return body[0] === 0x30 ? READY : body[0] === 0x32 ? engineIo.pong : OTHER
    },
    request: (_slot, size) => maskedFrame(TEXT, Buffer.from(`4${JSON.stringify(['echo', message(size)])}`)),
  },

  sockjs: {
    path: index => sockJsPath(index),
    read: body => (body[0] === 0x61 ? count(body) : body[0] === 0x6f ? READY : OTHER),
    request: (_slot, size) => sockJsFrame(JSON.stringify(['echo', message(size)])),
  },
}

/**
 * The id of a call. Up to 64 slots all take one byte in msgpack.
 *
 * @param {number} slot
 */
function id(slot) {
  return 2 * slot + 1
}

/**
 * Our call, which bare `ws` gets as well.
 *
 * @param {number} slot @param {number} size @param {number} service
 */
function call(slot, size, service) {
  return binary.encode(KIND.CALL, service, id(slot), ['echo', message(size)])
}

/** @param {number} slot @param {number} size @param {number} service */
function jsonCall(slot, size, service) {
  // Four digits whatever the slot, so that all are of one length.
  return text.encode(KIND.CALL, service, 2 * slot + 1001, ['echo', message(size)])
}

/**
 * Reads `[kind,` of a JSON frame.
 *
 * @param {Buffer} body
 * @param {number} at where the frame begins
 * @returns {number | Buffer}
 */
function readJson(body, at) {
  const [first, second] = [body[at + 1], body[at + 2]]
  if (second === 0x2c) return first === 0x32 || first === 0x38 ? 1 : OTHER
  if (first !== 0x31) return OTHER
  if (second === 0x37) return READY
  return second === 0x39 ? maskedFrame(TEXT, text.encode(KIND.PONG, 0, 0, 0)) : OTHER
}

/**
 * How many messages a frame of SockJS has: quotes within them are behind a backslash.
 *
 * @param {Buffer} body
 */
function count(body) {
  let messages = 1
  for (let at = body.indexOf('","'); at >= 0; at = body.indexOf('","', at + 3)) messages++
  return messages
}

/** @param {string | Buffer} body */
function sockJsFrame(body) {
  return maskedFrame(TEXT, Buffer.from(JSON.stringify([String(body)])))
}

/** @param {number} index */
function sockJsPath(index) {
  return `/sockjs/000/s${process.pid}x${index}/websocket`
}

/**
 * A codec that gives buffers.
 *
 * @param {import('socketstream-server').Codec} codec
 */
function opened(codec) {
  const open = codec.open(new Map([[RPC, {}]]))
  return {
    /** @param {number} kind @param {number} service @param {number} id @param {unknown} payload */
    encode: (kind, service, id, payload) => Buffer.from(open.encode(kind, service, id, payload)),
  }
}
