import { checkName, checkOptions, isWhole } from './checks.js'
import type { Engine } from './engine.js'
import { Events } from './events.js'
import type { Allowance, Limiter, Verdict } from './limiter.js'
import { checkAllowance } from './record-limiter.js'
import { RedisBus } from './redis-bus.js'
import { isCluster, RedisClustered } from './redis-clustered.js'
import { RedisKeyValue } from './redis-key-value.js'
import { RedisLeases } from './redis-leases.js'
import { RedisLink } from './redis-link.js'
import { RedisLog } from './redis-log.js'
import { RedisNames } from './redis-names.js'
import { RedisOccupancy } from './redis-occupancy.js'
import { RedisPresence } from './redis-presence.js'
import { LIMIT, SCRIPTS } from './redis-scripts.js'
import { type RedisClientLike, RedisSingle } from './redis-single.js'

export type { RedisClientLike } from './redis-single.js'

/** Options of `redis`. */
export interface RedisOptions {
  /** Where Redis is, as in `redis://localhost:6379`. Default that, unless `client` is given. */
  readonly url?: string
  /** A client of node-redis, for one Redis or a cluster: its settings are taken over, it is not used itself. */
  readonly client?: RedisClientLike
  /** What the names of all keys and channels begin with, without braces. Default `socketstream`. */
  readonly prefix?: string
  /** Milliseconds that a call may take. Default 5,000. */
  readonly deadline?: number
  /** Milliseconds between checks of the position of a silent channel. Default 25,000. */
  readonly checkEvery?: number
}

/**
 * An engine in Redis 7.0 or newer, or Valkey, alone or as a cluster: servers with the same `prefix` share it.
 *
 * It connects by itself, and again whenever it must; calls wait for that within their deadline.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example const engine = redis({ url: 'redis://localhost:6379', prefix: 'chat' })
 */
export function redis(options: RedisOptions = {}): Required<Engine> {
  checkOptions('redis', options, RULES)
  const { client, prefix = 'socketstream', deadline = 5000, checkEvery = 25_000 } = options
  const { url = 'redis://localhost:6379' } = options
  const events = new Events()
  const names = new RedisNames(prefix)
  const link = new RedisLink(
    heard =>
      isCluster(client)
        ? new RedisClustered(client, deadline, heard)
        : new RedisSingle(client ? { client } : { url }, heard),
    deadline,
    SCRIPTS,
    events,
  )
  const log = new RedisLog(link, names, events, checkEvery)
  const presence = new RedisPresence(link, names, events)
  const bus = new RedisBus(link, names, events)
  const limiter: Limiter = {
    async take(key: string, allowance: Allowance): Promise<Verdict> {
      link.checkOpen()
      checkName('key', key)
      const { rate, burst, cost } = checkAllowance(allowance)
      const args = [names.of('limit', key), String(1000 / rate), String(burst), String(cost)]
      const [allowed, retryAfter, remaining] = (await link.run(LIMIT, args)) as [number, number, number]
      return { allowed: allowed === 1, retryAfter, remaining }
    },
  }
  return {
    name: 'redis',
    kv: new RedisKeyValue(link, names),
    log,
    presence,
    occupancy: new RedisOccupancy(link, names),
    lease: new RedisLeases(link, names),
    bus,
    limiter,
    on: events.on,
    async close() {
      for (const part of [log, presence, bus, link, events]) part.close()
    },
  }
}

function count(fix: string) {
  return {
    test: (value: unknown) => value === undefined || isWhole(value, 1, 2 ** 31 - 1),
    wants: 'a whole number of milliseconds, at least 1',
    fix,
  }
}

const RULES = {
  url: {
    test: (value: unknown) => value === undefined || (typeof value === 'string' && URL.canParse(value)),
    wants: 'a URL',
    fix: "url: 'redis://localhost:6379'",
  },
  client: {
    test: (value: unknown) =>
      value === undefined || typeof (value as RedisClientLike | null)?.duplicate === 'function',
    wants: 'a client of node-redis, from createClient or createCluster',
    fix: 'client: createClient()',
  },
  prefix: {
    test: (value: unknown) =>
      value === undefined || (typeof value === 'string' && /^[^{}]{1,100}$/.test(value)),
    wants: 'a name without braces, of 1 to 100 characters',
    fix: "prefix: 'chat'",
  },
  deadline: count('deadline: 5000'),
  checkEvery: count('checkEvery: 25_000'),
}
