import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { closeFrame, FrameReader } from './frames.js'
import { OTHER, protocols, READY } from './protocols.js'

/** Milliseconds in which a connection must be ready. */
const PATIENCE = 60_000
/** What a browser sends besides, as servers may keep it. */
const BROWSER = [
  'Pragma: no-cache',
  'Cache-Control: no-cache',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9',
]
/** Frames are the same for all connections, so they are made once. @type {Map<string, Requests>} */
const made = new Map()

/**
 * Frames of calls: all slots twice in a row, so that any run of them is one slice.
 *
 * @typedef {{ bytes: Buffer, size: number, slots: number }} Requests
 */

/**
 * One connection over a raw socket: sends frames made beforehand, counts what comes back.
 *
 * It does not know why it sends; `onanswers` does.
 */
export class Client {
  /** Resolves when calls may be sent. @type {Promise<void>} */
  ready
  /** Called with how many answers, or publications, one chunk had. @type {(count: number) => void} */
  onanswers = () => {}
  /** Calls that were sent and have no answer yet. */
  waiting = 0
  #name
  #protocol
  #socket
  #reader = new FrameReader()
  #open = false
  #leaving = false
  /** @type {Requests} */
  #requests = { bytes: Buffer.alloc(0), size: 0, slots: 0 }
  #next = 0
  #answers = 0
  #isReady = () => {}

  /**
   * @param {string} name of the protocol
   * @param {number} port
   * @param {number} index of the connection, for what must differ from one to the next
   * @param {Record<string, string>} [headers] of the upgrade request
   */
  constructor(name, port, index, headers = {}) {
    this.#name = name
    this.#protocol = protocols[name]
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name}: no connection in ${PATIENCE} ms`)), PATIENCE)
      this.#isReady = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#socket.on('data', chunk => this.#read(chunk))
    this.#socket.on('error', fail)
    this.#socket.on('close', () => {
      if (!this.#leaving) fail(new Error(`${name} closed a connection`))
    })
    this.#upgrade(this.#protocol.path(index), headers)
  }

  /**
   * Makes the calls that `send` sends from now on.
   *
   * @param {{ slots: number, size: number, services?: number }} shape at most `slots` calls are in flight; they
   *   go round the services with the ids from 1 on
   */
  prepare(shape) {
    this.#requests = requests(this.#name, shape)
    this.#next = 0
  }

  /**
   * Sends the next calls in one write.
   *
   * @param {number} count at most the slots that are free
   */
  send(count) {
    const { bytes, size, slots } = this.#requests
    const start = this.#next * size
    this.#socket.write(bytes.subarray(start, start + count * size))
    this.#next = (this.#next + count) % slots
    this.waiting += count
  }

  /**
   * Subscribes to channels; resolves when all are confirmed.
   *
   * @param {readonly string[]} channels
   * @returns {Promise<void>}
   */
  subscribe(channels) {
    const { subscribe } = this.#protocol
    if (subscribe === undefined) return Promise.resolve()
    return new Promise(resolve => {
      this.waiting += channels.length
      this.onanswers = () => {
        if (this.waiting === 0) resolve()
      }
      this.#socket.write(Buffer.concat(channels.map(subscribe)))
    })
  }

  /**
   * Ends the connection as a browser does, with a close frame, and waits until the server has ended it, too.
   *
   * @returns {Promise<void>}
   */
  leave() {
    this.#leaving = true
    return new Promise(resolve => {
      this.#socket.once('close', () => resolve())
      this.#socket.write(closeFrame())
    })
  }

  #upgrade(/** @type {string} */ path, /** @type {Record<string, string>} */ headers) {
    const { subprotocol } = this.#protocol
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...BROWSER,
      ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ]
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  }

  /** @param {Buffer} chunk */
  #read(chunk) {
    let bytes = chunk
    if (!this.#open) {
      const end = chunk.indexOf('\r\n\r\n')
      if (!chunk.toString('latin1', 0, 12).startsWith('HTTP/1.1 101') || end < 0) {
        return fail(new Error(`${this.#name}: no upgrade: ${chunk.toString('latin1', 0, 200)}`))
      }
      this.#open = true
      if (this.#protocol.hello !== undefined) this.#socket.write(this.#protocol.hello)
      if (this.#protocol.ready) this.#isReady()
      bytes = chunk.subarray(end + 4)
    }
    this.#answers = 0
    const pong = this.#reader.read(bytes, this.#body)
    if (pong !== undefined && !this.#leaving) this.#socket.write(pong)
    if (this.#answers === 0) return
    // Publications answer nothing.
    if (this.waiting > 0) this.waiting -= this.#answers
    this.onanswers(this.#answers)
  }

  /** @param {Buffer} body */
  #body = body => {
    const what = this.#protocol.read(body)
    if (typeof what !== 'number') this.#socket.write(what)
    else if (what === READY) this.#isReady()
    else if (what !== OTHER) this.#answers += what
    // Handshakes have more to say; among answers it is an error.
    else if (this.waiting > 0) {
      fail(new Error(`${this.#name}: not an answer: ${body.toString('latin1', 0, 200)}`))
    }
  }
}

/**
 * @param {string} name
 * @param {{ slots: number, size: number, services?: number }} shape
 */
function requests(name, { slots, size, services = 1 }) {
  const key = `${name} ${slots} ${size} ${services}`
  let known = made.get(key)
  if (known === undefined) {
    const frames = Array.from({ length: slots }, (_, slot) => {
      return protocols[name].request(slot, size, 1 + (slot % services))
    })
    if (frames.some(frame => frame.length !== frames[0].length)) throw new Error(`${key}: lengths differ`)
    known = { bytes: Buffer.concat([...frames, ...frames]), size: frames[0].length, slots }
    made.set(key, known)
  }
  return known
}

/** @param {unknown} error */
export function fail(error) {
  console.error(error)
  process.exit(1)
}
