/** The engines whose acknowledged publications are counted, and bare LMDB beside them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { memory } from 'socketstream-server/transports/memory'
import { noRedis, startRedis } from '../sessions/redis.js'

/** A text that people write, and what else an event carries. */
export const TEXT = 'a line of text as people write it, of some sixty characters'
/** Channels that are published to in turn, and entries that each keeps. */
const CHANNELS = 10
const HISTORY = 1000

/**
 * Starters of one side each; they give what publishes once, resolving when it is kept.
 *
 * @type {Record<string, () => Promise<{ publish(): Promise<unknown>, end(): Promise<void> }>>}
 */
export const sides = {
  async memory() {
    return through((await import('socketstream-server/engines/memory')).memory())
  },

  async lmdb() {
    const path = folder()
    const { lmdb } = await import('socketstream-server/engines/lmdb')
    return through(lmdb({ path }))
  },

  /** What lmdb itself needs to put as many bytes and commit them. */
  async 'bare LMDB'() {
    const { open } = await import('lmdb')
    const database = open({ path: folder(), encoding: 'binary', keyEncoding: 'binary' })
    const value = Buffer.from(JSON.stringify(['said', 'Ann', TEXT]))
    let count = 0
    return {
      publish() {
        const key = Buffer.alloc(8)
        key.writeDoubleBE(count++ % (CHANNELS * HISTORY))
        return database.put(key, value)
      },
      end: () => database.close(),
    }
  },

  async redis() {
    const { port, stop } = await startRedis()
    const { redis } = await import('socketstream-server/engines/redis')
    const { publish, end } = await through(redis({ url: `redis://127.0.0.1:${port}` }))
    return {
      publish,
      async end() {
        await end()
        stop()
      },
    }
  },
}

/** Why a side cannot be had here. @param {string} name */
export function missing(name) {
  return name === 'redis' ? noRedis() : undefined
}

/**
 * Publishes through a server, as an application does.
 *
 * @param {import('socketstream-server').Engine} engine
 */
async function through(engine) {
  const app = new Server({ transport: memory(), engine, env: 'production' }).service(
    'chat',
    pubsub({ channels: { 'room:*': { history: { size: HISTORY } } } }),
  )
  await app.start()
  const { publish } = /** @type {any} */ (app.api).chat
  let count = 0
  return {
    publish: () => publish.acknowledged(`room:${count++ % CHANNELS}`, 'said', 'Ann', TEXT),
    async end() {
      await app.stop({ drain: 0 })
      await engine.close()
    },
  }
}

/** A folder that goes with the process. */
function folder() {
  const path = mkdtempSync(join(tmpdir(), 'channels-'))
  process.once('exit', () => rmSync(path, { recursive: true, force: true }))
  return path
}
