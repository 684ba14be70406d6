import { checkName, checkTtl, checkWhole } from './checks.js'
import type { Lease, Leases } from './lease.js'
import type { RedisLink } from './redis-link.js'
import type { RedisNames } from './redis-names.js'
import { LEASE } from './redis-scripts.js'

/** Leases in Redis. Tokens are its time in microseconds, or one more than the last. */
export class RedisLeases implements Leases {
  readonly #link: RedisLink
  readonly #names: RedisNames

  constructor(link: RedisLink, names: RedisNames) {
    this.#link = link
    this.#names = names
  }

  async acquire(name: string, ttl: number, holder = ''): Promise<Pick<Lease, 'token'> | undefined> {
    checkTtl(ttl)
    if (holder !== '') checkName('holder', holder)
    const token = await this.#run('acquire', name, 0, ttl, holder)
    return token === null ? undefined : { token: token as number }
  }

  async renew(name: string, token: number, ttl: number): Promise<boolean> {
    checkWhole('token', token, 1)
    checkTtl(ttl)
    return (await this.#run('renew', name, token, ttl)) === 1
  }

  async release(name: string, token: number): Promise<boolean> {
    checkWhole('token', token, 1)
    return (await this.#run('release', name, token, 0)) === 1
  }

  async current(name: string): Promise<Lease | undefined> {
    const reply = (await this.#run('current', name, 0, 0)) as [number, Buffer, number] | null
    return reply ? { token: reply[0], holder: reply[1].toString(), remaining: reply[2] } : undefined
  }

  async #run(what: string, name: string, token: number, ttl: number, holder = '') {
    this.#link.checkOpen()
    checkName('name', name)
    return this.#link.run(LEASE, [this.#names.of('lease', name), what, String(token), String(ttl), holder])
  }
}
