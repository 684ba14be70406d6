/** What one server publishes and another one hears, by the cluster, by the engine's log, and by bare node-redis. */
import { createClient } from 'redis'
import { Server } from 'socketstream-server'
import { redis } from 'socketstream-server/engines/redis'
import { memory } from 'socketstream-server/transports/memory'

/** Channels of acknowledged publications, and entries that each keeps. */
export const CHANNELS = 100
const HISTORY = 1000
const TEXT = 'a line of text as people write it, of some sixty characters'

/**
 * A publication with its history in the least that does it: numbered, kept, handed to subscribers.
 *
 * As the engine's own script, without epochs and keys.
 */
const SCRIPT = `
local offset = redis.call('HINCRBY', KEYS[1], 's', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[2], offset .. '-0', 'p', ARGV[1])
redis.call('PEXPIRE', KEYS[2], 60000)
redis.call('PUBLISH', ARGV[3], offset .. ':' .. ARGV[1])
return offset`

/**
 * @typedef {object} Side one process of one side
 * @property {(room: string) => Promise<unknown> | undefined} publish with the time of this moment
 * @property {(heard: (time: number) => void) => Promise<unknown>} hear calls back with the times of messages to `room`
 * @property {(value: unknown) => Promise<unknown>} [call] asks the other server, which answers with the same
 * @property {(value: unknown) => Promise<unknown>} [callAny] the same, of whoever answers
 * @property {() => Promise<unknown>} [answer] answers such calls
 * @property {() => Promise<void>} end
 */

/** Milliseconds of a clock that all processes of a machine share. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

/** @type {Record<string, (port: number) => Promise<Side>>} */
export const sides = {
  async 'node-redis'(port) {
    const [commands, subscriber] = await clients(port)
    /** @type {Map<number, (value: unknown) => void>} */
    const waiting = new Map()
    let asked = 0
    await subscriber.subscribe('answers', message => {
      const [id, value] = JSON.parse(message)
      waiting.get(id)?.(value)
      waiting.delete(id)
    })
    return {
      call: value =>
        new Promise((resolve, reject) => {
          const id = ++asked
          waiting.set(id, resolve)
          commands.sendCommand(['PUBLISH', 'calls', JSON.stringify([id, value])]).catch(reject)
        }),
      answer: () =>
        subscriber.subscribe('calls', message => {
          commands.sendCommand(['PUBLISH', 'answers', message]).catch(() => {})
        }),
      publish: room => commands.sendCommand(['PUBLISH', room, text()]),
      hear: heard => subscriber.subscribe('room', message => heard(JSON.parse(message.toString())[2]), true),
      async end() {
        for (const client of [commands, subscriber]) client.destroy()
      },
    }
  },

  async cluster(port) {
    const engine = redis({ url: url(port) })
    /** @type {import('socketstream-server').ServiceServer | undefined} */
    let server
    /** @type {(time: number) => void} */
    let tell = () => {}
    /** Where calls go, once it is known. @type {{ node: string } | undefined} */
    let there
    const app = new Server({ transport: memory(), engine, env: 'production' }).service('feed', {
      server(given) {
        server = given
        given.onrelayed = (_room, message) => tell(/** @type {[string, string, number]} */ (message)[2])
      },
    })
    await app.start()
    return {
      call(value) {
        if (there !== undefined) return app.cluster.call('echo', value, there)
        return app.cluster.nodes().then(nodes => {
          const node = nodes.find(({ id }) => id !== app.cluster.id)?.id
          if (node === undefined) throw new Error('the other server is not there')
          there = { node }
          return app.cluster.call('echo', value, there)
        })
      },
      callAny: value => app.cluster.call('echo', value),
      answer: async () => app.cluster.answer('echo', payload => payload),
      publish: room => void server?.relay?.({ channel: room }, ['said', TEXT, now()]),
      hear: async heard => {
        tell = heard
      },
      async end() {
        await app.stop({ drain: 0 })
        await engine.close()
      },
    }
  },

  async 'node-redis, script'(port) {
    const [commands, subscriber] = await clients(port)
    const digest = /** @type {string} */ (await commands.sendCommand(['SCRIPT', 'LOAD', SCRIPT]))
    const publish = (/** @type {string} */ room) =>
      commands.sendCommand([
        ...['EVALSHA', digest, '2', `{${room}}:m`, `{${room}}:s`],
        ...[text(), `${HISTORY}`, room],
      ])
    const read = (/** @type {Buffer} */ message) =>
      JSON.parse(message.toString('utf8', message.indexOf(58) + 1))[2]
    return {
      publish,
      hear: heard => subscriber.subscribe('room', message => heard(read(message)), true),
      async end() {
        for (const client of [commands, subscriber]) client.destroy()
      },
    }
  },

  async log(port) {
    const engine = redis({ url: url(port) })
    const { log } = engine
    const gap = () => {
      throw new Error('there was a gap')
    }
    return {
      publish: room => log.publish(room, Buffer.from(text()), { size: HISTORY, ttl: 60_000 }),
      hear: heard =>
        log.subscribe('room', {
          entry: ({ payload }) => heard(JSON.parse(Buffer.from(payload).toString())[2]),
          gap,
        }),
      end: () => engine.close(),
    }
  },
}

/** What it is compared with. @type {Record<string, string>} */
export const CONTROLS = { cluster: 'node-redis', log: 'node-redis, script' }

/** What is called with. */
export const VALUE = ['ask', TEXT]

function text() {
  return JSON.stringify(['said', TEXT, now()])
}

/** @param {number} port */
export function url(port) {
  return `redis://127.0.0.1:${port}`
}

/** Two connections, set up as the engine's are. @param {number} port */
async function clients(port) {
  return /** @type {const} */ ([await connect(port), await connect(port)])
}

/** A connection, set up as the engine's are. @param {number} port */
export async function connect(port) {
  const client = createClient({
    url: url(port),
    commandOptions: { timeout: /** @type {any} */ (undefined) },
    pingInterval: 2000,
    disableOfflineQueue: true,
  })
  // Redis ends before its clients do.
  client.on('error', () => {})
  await client.connect()
  return client
}
