/**
 * The load of the `network` benchmark, in a process of its own.
 *
 * Raw sockets and bytes made beforehand, so that the load costs the same whatever the server is. Keeps
 * the connections of each server open until told to close them; takes orders `{ server, inFlight, calls }`
 * from its parent.
 */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { FrameReader } from './frames.js'
import { protocols } from './protocols.js'

/** Milliseconds in which a connection must be ready. */
const PATIENCE = 10_000

/** One connection: counts answers and sends as many calls again, in one write. */
class Client {
  /** Resolves when calls may be sent. @type {Promise<void>} */
  ready
  #protocol
  #headers
  #socket
  #reader = new FrameReader()
  #open = false
  /** All slots twice in a row, so that any run of them is one slice. */
  #requests = Buffer.alloc(0)
  #size = 0
  #slots = 0
  #next = 0
  #left = 0
  #waiting = 0
  #answers = 0
  #isReady = () => {}
  #finished = () => {}

  /**
   * @param {string} name of the protocol
   * @param {number} port
   * @param {Record<string, string>} [headers] of the upgrade request
   */
  constructor(name, port, headers = {}) {
    this.#protocol = protocols[name]
    this.#headers = headers
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
    this.#socket.on('close', () => fail(new Error(`${name} closed a connection`)))
    this.#upgrade()
  }

  /**
   * Makes calls and waits for their answers.
   *
   * @param {number} calls
   * @param {number} inFlight
   * @returns {Promise<void>}
   */
  call(calls, inFlight) {
    const slots = Array.from({ length: inFlight }, (_, slot) => this.#protocol.request(slot))
    this.#requests = Buffer.concat([...slots, ...slots])
    this.#size = slots[0].length
    this.#slots = inFlight
    this.#next = 0
    this.#left = calls
    return new Promise(resolve => {
      this.#finished = resolve
      this.#send(inFlight)
    })
  }

  /** @returns {Promise<void>} */
  close() {
    this.#socket.removeAllListeners('close')
    return new Promise(resolve => {
      this.#socket.once('close', () => resolve())
      this.#socket.destroy()
    })
  }

  #upgrade() {
    const { path, subprotocol } = this.#protocol
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
      ...Object.entries(this.#headers).map(([name, value]) => `${name}: ${value}`),
    ]
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  }

  /** @param {Buffer} chunk */
  #read(chunk) {
    let bytes = chunk
    if (!this.#open) {
      const end = chunk.indexOf('\r\n\r\n')
      if (!chunk.toString('latin1').startsWith('HTTP/1.1 101') || end < 0) {
        return fail(new Error(`No upgrade: ${chunk.toString('latin1').slice(0, 200)}`))
      }
      this.#open = true
      if (this.#protocol.hello !== undefined) this.#socket.write(this.#protocol.hello)
      if (this.#protocol.ready) this.#isReady()
      bytes = chunk.subarray(end + 4)
    }
    this.#answers = 0
    const pong = this.#reader.read(bytes, this.#body)
    if (pong !== undefined) this.#socket.write(pong)
    if (this.#answers === 0) return
    this.#waiting -= this.#answers
    if (this.#left > 0) this.#send(Math.min(this.#answers, this.#left))
    else if (this.#waiting === 0) this.#finished()
  }

  /** @param {Buffer} body */
  #body = body => {
    const what = this.#protocol.read(body)
    if (what === 'answer') this.#answers++
    else if (what === 'ready') this.#isReady()
    else if (what === 'other') {
      // socket.io begins with a handshake of its own; anything later is an error.
      if (this.#slots > 0) fail(new Error(`Not an answer: ${body.toString('latin1').slice(0, 200)}`))
    } else this.#socket.write(what)
  }

  /** @param {number} count */
  #send(count) {
    const n = Math.min(count, this.#left)
    const start = this.#next * this.#size
    this.#socket.write(this.#requests.subarray(start, start + n * this.#size))
    this.#next = (this.#next + n) % this.#slots
    this.#left -= n
    this.#waiting += n
  }
}

/** @param {Error} error */
function fail(error) {
  console.error(error)
  process.exit(1)
}

/** @type {Map<string, Client[]>} */
const clients = new Map()

/**
 * Opens connections at once; gives the milliseconds that each took to be ready.
 *
 * @param {{ type: 'connect', server: string, protocol?: string, port: number, connections: number,
 *   headers?: Record<string, string>[] }} order headers for each connection in turn
 */
async function open({ server, protocol = server, port, connections, headers = [{}] }) {
  /** @type {Client[]} */
  const opened = []
  clients.set(server, opened)
  const latencies = Array.from({ length: connections }, async (_, i) => {
    const start = performance.now()
    const client = new Client(protocol, port, headers[i % headers.length])
    opened.push(client)
    await client.ready
    return performance.now() - start
  })
  return { latencies: await Promise.all(latencies) }
}

/** @param {{ type: 'close', server: string }} order */
async function close({ server }) {
  const all = clients.get(server) ?? []
  clients.delete(server)
  await Promise.all(all.map(client => client.close()))
  return {}
}

/** @param {{ type: 'call', server: string, inFlight: number, calls: number }} order */
async function call({ server, inFlight, calls }) {
  const all = clients.get(server) ?? []
  const start = process.hrtime.bigint()
  await Promise.all(all.map(client => client.call(calls / all.length, inFlight)))
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9 }
}

const orders = { connect: open, call, close }

process.on('disconnect', () => process.exit())
process.on('message', async order => {
  try {
    process.send?.(await orders[/** @type {keyof typeof orders} */ (order.type)](order))
  } catch (error) {
    fail(error)
  }
})
