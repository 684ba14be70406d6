/**
 * The three protocols as the load speaks them: bytes made beforehand, answers told by their first bytes.
 *
 * Requests of one protocol are all of one length and can be sent again and again: a call's id is free
 * once it is answered, and servers here answer in order.
 */
import { msgpack } from 'socketstream-server/codec/msgpack'
import { BINARY, maskedFrame, TEXT } from './frames.js'

/** What every call carries. */
const MESSAGE = { room: 'lobby', text: 'hello world' }
const KIND = { CALL: 1, REPLY: 2, HELLO: 16, WELCOME: 17, PING: 19, PONG: 20 }
const RPC = 1

const codec = msgpack().open(new Map())

/**
 * @typedef {object} Protocol
 * @property {string} path for the upgrade request
 * @property {string} [subprotocol]
 * @property {Buffer | undefined} hello frame to send once the link is open
 * @property {(body: Buffer) => 'ready' | 'answer' | 'other' | Buffer} read what an incoming body is;
 *   a buffer is the frame to reply with
 * @property {(slot: number) => Buffer} request the frame of one call; slots count from 0
 * @property {boolean} ready whether calls may be sent before any `ready`
 */

/** @type {Record<string, Protocol>} */
export const protocols = {
  socketstream: {
    path: '/',
    subprotocol: 'ss1.msgpack',
    ready: false,
    hello: maskedFrame(BINARY, encode(KIND.HELLO, 0, 0, { v: 1, caps: [] })),
    read(body) {
      // [kind, …]: the kind is the second byte.
      const kind = body[1]
      if (kind === KIND.REPLY) return 'answer'
      if (kind === KIND.WELCOME) return 'ready'
      return kind === KIND.PING ? maskedFrame(BINARY, encode(KIND.PONG, 0, 0, 0)) : 'other'
    },
    request: slot => maskedFrame(BINARY, call(slot)),
  },

  ws: {
    path: '/',
    ready: true,
    hello: undefined,
    read: () => 'answer',
    request: slot => maskedFrame(BINARY, call(slot)),
  },

  'socket.io': {
    path: '/socket.io/?EIO=4&transport=websocket',
    ready: false,
    hello: maskedFrame(TEXT, Buffer.from('40')),
    read(body) {
      // Engine.IO 4 is a message, 2 a ping; Socket.IO 3 behind the 4 is an acknowledgement, 0 the connect.
      if (body[0] === 0x34 && body[1] === 0x33) return 'answer'
      if (body[0] === 0x34 && body[1] === 0x30) return 'ready'
      return body[0] === 0x32 ? maskedFrame(TEXT, Buffer.from('3')) : 'other'
    },
    request: slot => maskedFrame(TEXT, Buffer.from(`42${10 + slot}${JSON.stringify(['echo', MESSAGE])}`)),
  },
}

/**
 * Our call, which bare `ws` gets as well.
 *
 * @param {number} slot
 */
function call(slot) {
  return encode(KIND.CALL, RPC, 2 * slot + 1, ['echo', MESSAGE])
}

/**
 * @param {number} kind
 * @param {number} service
 * @param {number} id
 * @param {unknown} payload
 */
function encode(kind, service, id, payload) {
  return Buffer.from(/** @type {Uint8Array} */ (codec.encode(kind, service, id, payload)))
}
