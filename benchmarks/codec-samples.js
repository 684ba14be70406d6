/**
 * What `codecs` encodes and decodes: five payloads, and the codecs as `encode` and `decode` of an
 * envelope with each.
 */
import { decode as decodeMsgpack, encode as encodeMsgpack } from '@msgpack/msgpack'
import { Packr } from 'msgpackr'
import { json } from 'socketstream-server/codec/json'
import { msgpack } from 'socketstream-server/codec/msgpack'
import { text } from 'socketstream-server/codec/text'
// Node is given the server's codec under its public name; this is the one that browsers get.
import { msgpack as portable } from '../dist/codec/msgpack-portable.js'

const MESSAGE = 0
const CALL = 1
const REPLY = 2
const SERVICE = 1

const packr = new Packr({ structures: [] })
const textCodec = text().open(new Map([[SERVICE, { id: SERVICE, json: true, callbacks: true }]]))

/**
 * @typedef {object} Sample
 * @property {string} name
 * @property {number} kind
 * @property {number} id
 * @property {unknown} payload
 * @property {boolean} [binary] only codecs that carry bytes can encode it
 */

/** @type {Sample[]} */
export const samples = [
  { name: 'small RPC', kind: CALL, id: 7, payload: ['add', 1, 2] },
  {
    name: 'chat event',
    kind: MESSAGE,
    id: 0,
    payload: {
      event: 'message',
      room: 'lobby',
      from: 'ada',
      text: 'Has anybody seen the figures?',
      at: 1_700_000_000,
    },
  },
  { name: '1 kB document', kind: MESSAGE, id: 0, payload: account() },
  { name: '20-row table', kind: MESSAGE, id: 0, payload: Array.from({ length: 20 }, (_, i) => row(i)) },
  {
    name: 'binary 4 kB',
    kind: MESSAGE,
    id: 0,
    payload: Uint8Array.from({ length: 4096 }, (_, i) => (i * 31) & 0xff),
    binary: true,
  },
]

/**
 * @typedef {object} Candidate
 * @property {string} name
 * @property {boolean} ours the others are there for comparison
 * @property {(sample: Sample) => Uint8Array | string} encode
 * @property {(frame: any) => unknown} decode gives the payload
 * @property {boolean} [noBinary]
 */

/** @type {Candidate[]} */
export const candidates = [
  own('msgpack', msgpack().open(new Map())),
  own('msgpack, browser', portable().open(new Map())),
  own('JSON', json().open(new Map())),
  { ...own('text (0.4)', textCodec), encode: encodeText, noBinary: true },
  bare('msgpackr, records', packr.pack.bind(packr), packr.unpack.bind(packr)),
  bare('@msgpack/msgpack', encodeMsgpack, decodeMsgpack),
  { ...bare('JSON.stringify', JSON.stringify, JSON.parse), noBinary: true },
]

/**
 * One of our codecs. Decoding is reading the header, then the payload.
 *
 * @param {string} name
 * @param {import('../src/codec/codec.js').Codec} codec
 * @returns {Candidate}
 */
function own(name, codec) {
  return {
    name,
    ours: true,
    encode: ({ kind, id, payload }) => codec.encode(kind, SERVICE, id, payload),
    decode: frame => codec.decode(frame).payload,
  }
}

/**
 * The text wire knows calls from clients only: here, the answer with the same payload.
 *
 * @param {Sample} sample
 */
function encodeText({ kind, id, payload }) {
  return textCodec.encode(kind === CALL ? REPLY : kind, SERVICE, (id * 4096 + SERVICE) * 2 + 1, payload)
}

/**
 * A library on its own, with the envelope as one array.
 *
 * @param {string} name
 * @param {(value: unknown) => Uint8Array | string} encode
 * @param {(frame: any) => any} decode
 * @returns {Candidate}
 */
function bare(name, encode, decode) {
  return {
    name,
    ours: false,
    encode: ({ kind, id, payload }) => encode([kind, SERVICE, id, payload]),
    decode: frame => decode(frame)[3],
  }
}

/** @param {number} i */
function row(i) {
  return { id: 1000 + i, name: `Product ${i}`, price: 9.99 + i, stock: 7 * i, active: i % 2 === 0 }
}

/** An account with what hangs on it: about 1 kB as JSON. */
function account() {
  return {
    id: 'a1b2c3d4',
    name: 'Ada Lovelace',
    email: 'ada@example.com',
    created: 1_700_000_000_000,
    balance: 1234.5,
    address: { street: '12 St James Square', city: 'London', postcode: 'SW1Y 4JH', country: 'GB' },
    settings: { theme: 'dark', language: 'en', notifications: true, digest: 'weekly', pageSize: 50 },
    tags: ['founder', 'mathematics', 'engines', 'notes'],
    note: 'The engine weaves algebraic patterns, just as the loom weaves flowers and leaves. '.repeat(6),
    orders: Array.from({ length: 4 }, (_, i) => ({ order: 9000 + i, total: 19.9 * (i + 1), paid: i < 3 })),
  }
}
