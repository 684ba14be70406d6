/**
 * Hostile clients, in a process of their own: `node attacks.js PORT`.
 *
 * Each message names an attack and how many connections make it; `stop` ends it. Sockets are bare TCP: no client
 * library would do this.
 */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

const port = Number(process.argv[2])
/** @type {Set<import('node:net').Socket>} */
const sockets = new Set()
/** @type {Set<NodeJS.Timeout>} */
const timers = new Set()
let stopped = true

/** A masked frame of text, as browsers send it. @param {string} text */
function frame(text) {
  const payload = Buffer.from(text)
  const mask = randomBytes(4)
  for (let at = 0; at < payload.length; at++) payload[at] = payload[at] ^ mask[at % 4]
  const length = payload.length
  const head = length < 126 ? [0x81, 0x80 | length] : [0x81, 0xfe, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), mask, payload])
}

const UPGRADE = [
  'GET / HTTP/1.1',
  `Host: 127.0.0.1:${port}`,
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: ss1.json',
  '',
  '',
].join('\r\n')
/** Asks to resume, as every real client does: so the server keeps what it sends, and whose link is lost. */
const HELLO = frame('[16,{"v":1,"caps":["resume"]}]')
/** Milliseconds after which what is filled changes from much to little and back. */
const TIDE = 2500

/** @param {(socket: import('node:net').Socket) => void} [opened] */
function open(opened) {
  const socket = connect({ port, host: '127.0.0.1' })
  sockets.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => sockets.delete(socket))
  if (opened !== undefined) socket.once('connect', () => opened(socket))
  return socket
}

/** Opens another when one is closed, as long as the attack lasts. @param {() => import('node:net').Socket} start */
function persist(start) {
  const socket = start()
  socket.once('close', () => {
    if (stopped) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      if (!stopped) persist(start)
    }, 100)
    timers.add(timer)
  })
}

/** Calls `work` again and again. @param {number} ms @param {() => void} work */
function every(ms, work) {
  timers.add(setInterval(work, ms))
}

/**
 * Says hello, then writes the same again and again, as fast as the sockets take it.
 *
 * @param {number} count
 * @param {Buffer} first written once, before it
 * @param {Buffer} chunk
 */
function pour(count, first, chunk) {
  for (let n = 0; n < count; n++) {
    persist(() =>
      open(socket => {
        socket.resume()
        for (const part of [UPGRADE, HELLO, first]) socket.write(part)
        const more = () => {
          while (!stopped && !socket.destroyed && socket.write(chunk));
        }
        socket.on('drain', more)
        more()
      }),
    )
  }
}

/** @type {Record<string, (count: number) => void>} */
const attacks = {
  /** Takes the welcome and reads nothing more. */
  'never reads'(count) {
    for (let n = 0; n < count; n++) {
      persist(() =>
        open(socket => {
          socket.pause()
          socket.write(UPGRADE)
          socket.write(HELLO)
        }),
      )
    }
  },

  /** Calls as fast as the socket takes it, and reads the answers. */
  floods(count) {
    const calls = []
    for (let id = 1; id < 200; id += 2) calls.push(frame(`[1,1,${id},["echo",${id}]]`))
    pour(count, Buffer.alloc(0), Buffer.concat(calls))
  },

  /**
   * Has answers sent, acknowledges none and cuts the link without a word, then comes as another client.
   *
   * By turns much is kept for few clients, and little for many.
   */
  'connects, fills and drops'(count) {
    const last = frame('[1,1,99,["echo","filled"]]')
    const much = [last]
    for (let id = 1; id < 16; id += 2) much.unshift(frame(`[1,1,${id},["echo","${'x'.repeat(60_000)}"]]`))
    const fillings = [Buffer.concat(much), last]
    const began = performance.now()
    for (let n = 0; n < count; n++) {
      persist(() =>
        open(socket => {
          const turn = Math.floor((performance.now() - began) / TIDE) % 2
          for (const part of [UPGRADE, HELLO, fillings[turn] ?? last]) socket.write(part)
          let end = ''
          socket.on('data', data => {
            end = (end + data.toString('latin1')).slice(-100)
            if (end.includes('"filled"')) socket.resetAndDestroy()
          })
        }),
      )
    }
  },

  /** Announces a frame of a gigabyte and sends it. */
  'huge frames'(count) {
    const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0])
    pour(count, head, Buffer.alloc(64 * 1024))
  },

  /** Opens sockets: half of them say nothing, half of them upgrade and say no hello. */
  'opens sockets'(count) {
    let opened = 0
    every(10, () => {
      for (let n = 0; n < 50 && opened < count; n++, opened++) {
        const upgrades = opened % 2 === 0
        open(upgrades ? socket => socket.write(UPGRADE) : undefined).resume()
      }
    })
  },

  /** Sends a byte at a time: half of them of the HTTP head, half of them of a frame. */
  trickles(count) {
    for (let n = 0; n < count; n++) {
      const head = n % 2 === 0
      persist(() => {
        const socket = open(opened => {
          opened.resume()
          if (!head) opened.write(UPGRADE)
        })
        const bytes = head
          ? Buffer.from(UPGRADE)
          : Buffer.concat([HELLO, frame(`[1,1,1,["echo","${'x'.repeat(60)}"]]`)])
        let at = 0
        const timer = setInterval(() => {
          if (socket.destroyed || at === bytes.length) return clearInterval(timer)
          if (!socket.connecting) socket.write(bytes.subarray(at, ++at))
        }, 100)
        timers.add(timer)
        return socket
      })
    }
  },
}

function stop() {
  stopped = true
  for (const timer of timers) clearInterval(timer)
  timers.clear()
  for (const socket of sockets) socket.destroy()
}

process.on('disconnect', () => process.exit())
process.on('message', asked => {
  const { attack, count } = /** @type {{ attack: string, count: number }} */ (asked)
  if (attack === 'stop') stop()
  else {
    stopped = false
    attacks[attack]?.(count)
  }
  process.send?.({ sockets: sockets.size })
})
process.send?.({ ready: true })
