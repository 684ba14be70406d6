/** Single things that an engine does in Redis, and bare commands beside them: each as a function that does one. */
import { times } from './unit-bench.js'

/** Calls of one turn of the event loop, and the channels and keys that are used in turn. */
const TURN = 100
/** Bytes of a payload. */
export const PAYLOAD = 100
/** How channels keep it. */
const KEPT = { size: 100, ttl: 3_600_000 }
/** Entries of the histories that are read, and members of the channel whose members renew their time. */
const HISTORY = 10
const MEMBERS = 10_000
/** So much that nothing is refused: a refusal costs less. */
const ALLOWANCE = { rate: 1e6, burst: 1e6 }
const MINUTE = 60_000
const payload = Buffer.alloc(PAYLOAD, 'x')
/** What the presence service says of somebody who says nothing. */
const info = Buffer.from([0x92, 0xc2, 0xc0])

/**
 * @typedef {import('./unit-bench.js').Bench} Bench
 * @typedef {import('./unit-bench.js').One} One
 *
 * @typedef {object} Prepared
 * @property {One} one
 * @property {() => number} [heard] messages that have come to all who hear together
 *
 * @typedef {object} Unit
 * @property {'cpu' | 'memory'} of what of Redis is measured
 * @property {number} together how many are under way at once
 * @property {string} [control] the unit that it is compared with
 * @property {number} [hearers] how many hear each
 * @property {(bench: Bench, count: number) => Promise<Prepared>} prepare for so many
 */

const ALONE = { of: /** @type {const} */ ('cpu'), together: 1 }
const MANY = { of: /** @type {const} */ ('cpu'), together: TURN }
const MEMORY = { of: /** @type {const} */ ('memory'), together: TURN }

/** By name, controls first. @type {Record<string, Unit>} */
export const units = {
  'PUBLISH, one at a time': { ...ALONE, prepare: bench => barePublish(bench, 0) },
  'EVALSHA of nothing, one at a time': { ...ALONE, prepare: bareScript },
  'publication, one at a time': {
    ...ALONE,
    control: 'EVALSHA of nothing, one at a time',
    prepare: async bench => ({ one: await publisher(bench.engine()) }),
  },
  'publication, one each of 20 servers': {
    ...ALONE,
    together: 20,
    control: 'EVALSHA of nothing, one at a time',
    async prepare(bench) {
      const publishers = await Promise.all(bench.engines(20).map(publisher))
      return { one: at => publishers[at % publishers.length](at) }
    },
  },

  'PUBLISH, 100 in a turn': { ...MANY, prepare: bench => barePublish(bench, 0) },
  'PUBLISH, 100 in a turn, 20 hear': { ...MANY, hearers: 20, prepare: bench => barePublish(bench, 20) },
  'EVALSHA of nothing, 100 in a turn': { ...MANY, prepare: bareScript },
  'HSET of a member again, 100 in a turn': {
    ...MANY,
    async prepare(bench) {
      const one = memberPutter(await bench.client())
      await times(MEMBERS, TURN, one)
      return { one }
    },
  },
  'publication, 100 channels in a call': {
    ...MANY,
    control: 'PUBLISH, 100 in a turn',
    prepare: bench => publish(bench, 0),
  },
  'the same, 1 server hears': { ...MANY, hearers: 1, prepare: bench => publish(bench, 1) },
  'the same, 5 servers hear': { ...MANY, hearers: 5, prepare: bench => publish(bench, 5) },
  'the same, 20 servers hear': {
    ...MANY,
    hearers: 20,
    control: 'PUBLISH, 100 in a turn, 20 hear',
    prepare: bench => publish(bench, 20),
  },
  'renewal of a member': {
    ...MANY,
    control: 'HSET of a member again, 100 in a turn',
    async prepare(bench) {
      const { presence } = bench.engine()
      await times(MEMBERS, TURN, at => presence.join('all', member(at), info, MINUTE))
      return { one: at => presence.refresh('all', member(at % MEMBERS), MINUTE) }
    },
  },
  'history of 10 entries read': {
    ...MANY,
    control: 'EVALSHA of nothing, 100 in a turn',
    async prepare(bench) {
      const engine = bench.engine()
      await times(TURN * HISTORY, TURN, await publisher(engine))
      return { one: at => engine.log.history(room(at % TURN), { limit: HISTORY }) }
    },
  },
  'limit asked': {
    ...MANY,
    control: 'EVALSHA of nothing, 100 in a turn',
    async prepare(bench) {
      const { limiter } = bench.engine()
      return { one: at => limiter.take(room(at % TURN), ALLOWANCE) }
    },
  },

  'stream with one entry, by XADD': {
    ...MEMORY,
    async prepare(bench) {
      const client = await bench.client()
      return { one: at => client.sendCommand(['XADD', bareRoom(at), '1-0', 'e', payload]) }
    },
  },
  'channel without a history': {
    ...MEMORY,
    async prepare(bench) {
      const { log } = bench.engine()
      return { one: at => log.publish(room(at), payload) }
    },
  },
  'channel with its first entry': {
    ...MEMORY,
    control: 'stream with one entry, by XADD',
    async prepare(bench) {
      const { log } = bench.engine()
      return { one: at => log.publish(room(at), payload, KEPT) }
    },
  },
  'each entry more, up to 100': {
    ...MEMORY,
    async prepare(bench, count) {
      const { log } = bench.engine()
      const channels = Math.ceil(count / (KEPT.size - 1))
      await times(channels, TURN, at => log.publish(room(at), payload, KEPT))
      return { one: at => log.publish(room(at % channels), payload, KEPT) }
    },
  },
  'SUBSCRIBE of one client more': {
    ...MEMORY,
    async prepare(bench, count) {
      const [first, second] = (await bench.clients(2)).map(client => bareSubscriber(client))
      await times(count, TURN, first)
      return { one: second }
    },
  },
  'subscription of one server more': {
    ...MEMORY,
    control: 'SUBSCRIBE of one client more',
    async prepare(bench, count) {
      const [first, second] = bench.engines(2).map(engine => subscriber(engine))
      await times(count, TURN, first)
      return { one: second }
    },
  },
  'subscription of the first server': {
    ...MEMORY,
    async prepare(bench, count) {
      const [first, other] = bench.engines(2)
      await times(count, TURN, at => other.log.publish(room(at), payload))
      return { one: subscriber(first) }
    },
  },
  'HSET of a member': {
    ...MEMORY,
    prepare: async bench => ({ one: memberPutter(await bench.client()) }),
  },
  'member of presence': {
    ...MEMORY,
    control: 'HSET of a member',
    async prepare(bench) {
      const { presence } = bench.engine()
      return { one: at => presence.join('all', member(at), info, MINUTE) }
    },
  },
}

/** @typedef {ReturnType<Bench['engine']>} Engine @typedef {Awaited<ReturnType<Bench['client']>>} Client */

/** Publishes to a hundred channels in turn, which are there already. @param {Engine} engine */
async function publisher({ log }) {
  const one = (/** @type {number} */ at) => log.publish(room(at % TURN), payload, KEPT)
  await times(TURN, TURN, one)
  return one
}

/** The same, and servers that hear all of them. @param {Bench} bench @param {number} servers */
async function publish(bench, servers) {
  const one = await publisher(bench.engine())
  let heard = 0
  const entry = () => {
    heard++
  }
  await Promise.all(bench.engines(servers).map(engine => times(TURN, TURN, subscriber(engine, entry))))
  return { one, heard: () => heard }
}

/** Subscribes to one channel after the other. @param {Engine} engine @returns {One} */
function subscriber({ log }, entry = () => {}) {
  const gap = () => {
    throw new Error('there was a gap')
  }
  return at => log.subscribe(room(at), { entry, gap })
}

/** @param {Bench} bench @param {number} hearers */
async function barePublish(bench, hearers) {
  let heard = 0
  const hear = () => {
    heard++
  }
  const [client, ...subscribers] = await bench.clients(1 + hearers)
  await Promise.all(subscribers.map(each => times(TURN, TURN, bareSubscriber(each, hear))))
  return {
    one: (/** @type {number} */ at) => client.sendCommand(['PUBLISH', bareRoom(at % TURN), payload]),
    heard: () => heard,
  }
}

/** @param {Client} client @returns {One} */
function bareSubscriber(client, hear = () => {}) {
  return at => client.subscribe(bareRoom(at), hear, true)
}

/** @param {Bench} bench */
async function bareScript(bench) {
  const client = await bench.client()
  const digest = /** @type {string} */ (await client.sendCommand(['SCRIPT', 'LOAD', 'return 1']))
  return {
    one: (/** @type {number} */ at) => client.sendCommand(['EVALSHA', digest, '1', bareRoom(at % TURN)]),
  }
}

/** @param {Client} client @returns {One} */
function memberPutter(client) {
  return at => client.sendCommand(['HSET', 'all', member(at % MEMBERS), info])
}

/** The name of a channel: as long for each. @param {number} at */
function room(at) {
  return `room ${String(at).padStart(5, '0')}`
}

/** As long as what the engine calls it in Redis. @param {number} at */
function bareRoom(at) {
  return `node-redis..:log:{${room(at)}}`
}

/** A member as the presence service names one: user, device, revision and server. @param {number} at */
function member(at) {
  const number = String(at).padStart(5, '0')
  return `user ${number}\ndevice of user ${number}\n1\nserver of it`
}
