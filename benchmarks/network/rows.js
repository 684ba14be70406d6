/**
 * A row of the comparison: one server, spoken to in one protocol.
 *
 * @typedef {object} Row
 * @property {string} name also of the protocol, unless `protocol` says otherwise
 * @property {string} label
 * @property {string} server starter in server.js
 * @property {string} [protocol]
 * @property {object} [options] of the server
 */

/** Ours, whose ratios to the others are told. */
export const OURS = 'socketstream'

/** @type {readonly Row[]} */
export const ROWS = [
  { name: OURS, label: 'ours, msgpack', server: 'socketstream' },
  { name: 'socketstream-json', label: 'ours, JSON', server: 'socketstream' },
  {
    name: 'socketstream-text',
    label: 'ours, text (0.4)',
    server: 'socketstream',
    options: { textWire: true },
  },
  {
    name: 'socketstream-engine.io',
    label: 'ours, Engine.IO',
    server: 'socketstream',
    options: { transport: 'engine-io' },
  },
  {
    name: 'socketstream-sockjs',
    label: 'ours, SockJS',
    server: 'socketstream',
    options: { transport: 'sockjs' },
  },
  { name: 'ws', label: 'ws, bare', server: 'ws' },
  { name: 'socket.io', label: 'socket.io', server: 'socket.io' },
  { name: 'socket.io-msgpack', label: 'socket.io, msgpack', server: 'socket.io-msgpack' },
  { name: 'engine.io', label: 'engine.io, bare', server: 'engine.io' },
  { name: 'sockjs', label: 'sockjs, bare', server: 'sockjs' },
]

/** What is switched on in ours, beside the same without it. @type {readonly Row[]} */
export const FEATURES = [
  feature(OURS, 'nothing', {}),
  feature('sessions', 'a session that is read', { sessions: true }),
  feature('middleware-1', '1 middleware', { middleware: 1 }),
  feature('middleware-5', '5 middlewares', { middleware: 5 }),
  feature('inspector', 'inspector, unwatched', { inspector: true }),
]

/**
 * @param {string} name
 * @param {string} label
 * @param {object} options
 * @returns {Row}
 */
export function feature(name, label, options) {
  return { name, label, server: 'socketstream', protocol: 'socketstream', options }
}
