/** What one delivery costs a server that publishes to many, over real WebSockets. */
import { createClient } from 'socketstream-server/client'
import { channelsClient } from 'socketstream-server/services/pubsub/channels'
import { WebSocket } from 'ws'
import { Child } from '../child.js'
import { spread } from '../report/statistics.js'

export const SIDES = ['ws', 'socket.io', 'socketstream', 'history']
const PATIENCE = 60_000

/**
 * Publishes in rounds to the clients of all servers in turn.
 *
 * @param {{ connections: number, ticks: number, rounds: number, perTick: readonly number[],
 *   progress(line: string): void }} options
 */
export async function fanOut({ connections, ticks, rounds, perTick, progress }) {
  const sides = []
  try {
    for (const name of SIDES) {
      const child = new Child(name, new URL('./server.js', import.meta.url), [name])
      const audience = { child, name, left: 0, done: () => {}, close: () => {} }
      sides.push(audience)
      const { port } = await child.next(PATIENCE)
      const heard = () => {
        if (--audience.left === 0) audience.done()
      }
      const connect = name === 'ws' ? bare : name === 'socket.io' ? socketIo : ours
      const closers = []
      for (let at = 0; at < connections; at++) closers.push(await connect(port, heard))
      audience.close = () => {
        for (const close of closers) close()
      }
      progress(`fan-out: ${connections} connections to ${name}`)
    }
    const lines = sides.flatMap(({ name }) => {
      return perTick.map(count => ({ name, perTick: count, times: /** @type {number[]} */ ([]) }))
    })
    for (let round = 0; round <= rounds; round++) {
      for (const count of perTick) {
        for (const side of sides) {
          const time = await measure(side, connections, ticks, count)
          // The first one is the warm-up.
          if (round === 0) continue
          lines.find(line => line.name === side.name && line.perTick === count)?.times.push(time)
          progress(
            `fan-out: round ${round} of ${rounds}: ${side.name}, ${count} a tick: ${time.toFixed(2)} µs a delivery`,
          )
        }
      }
    }
    return lines.map(({ name, perTick, times }) => ({ name, perTick, microseconds: spread(times) }))
  } finally {
    for (const { child, close } of sides) {
      close()
      child.stop()
    }
  }
}

/**
 * CPU time of the server for one delivery, in microseconds.
 *
 * @param {{ child: Child, left: number, done(): void }} side
 * @param {number} connections
 * @param {number} ticks
 * @param {number} count
 */
async function measure(side, connections, ticks, count) {
  const before = await side.child.ask({}, PATIENCE)
  for (let tick = 0; tick < ticks; tick++) {
    side.left = connections * count
    const all = new Promise(resolve => {
      side.done = () => resolve(undefined)
    })
    await side.child.ask({ publish: count }, PATIENCE)
    await all
  }
  const after = await side.child.ask({}, PATIENCE)
  return (after.user + after.system - before.user - before.system) / (ticks * count * connections)
}

/** @param {number} port @param {() => void} heard */
async function bare(port, heard) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  socket.on('message', heard)
  return () => socket.terminate()
}

/** Speaks the protocol of Engine.IO by hand: opened, connected, answers pings. @param {number} port @param {() => void} heard */
async function socketIo(port, heard) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
    perMessageDeflate: false,
  })
  await new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.on('message', data => {
      const text = String(data)
      if (text.startsWith('0')) socket.send('40')
      else if (text.startsWith('40')) resolve(undefined)
      else if (text === '2') socket.send('3')
      else if (text.startsWith('42')) heard()
    })
  })
  return () => socket.terminate()
}

/** @param {number} port @param {() => void} heard */
async function ours(port, heard) {
  const client = createClient({
    url: `ws://127.0.0.1:${port}`,
    reconnect: false,
    services: { chat: channelsClient },
  })
  await client.connect()
  const { chat } = /** @type {any} */ (client.api)
  chat.on('said', heard)
  await chat.subscribe('room')
  return () => client.close()
}
