import { checkBytes, checkName, checkRange, checkTtl, invalid } from './checks.js'
import type { Events } from './events.js'
import type { Member, Presence, PresenceHandler, Subscription } from './presence.js'
import type { RedisLink } from './redis-link.js'
import type { RedisNames } from './redis-names.js'
import { PRESENCE } from './redis-scripts.js'
import { keysOf, RedisWatches } from './redis-watches.js'
import type { Reply } from './redis-wire.js'

/** Members asked for in one call: more would keep Redis from others for long. */
const AT_ONCE = 1000

/** Presence in Redis. Whoever watches a channel drops those whose time is over: one of them, once. */
export class RedisPresence implements Presence {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #watches: RedisWatches

  constructor(link: RedisLink, names: RedisNames, events: Events) {
    this.#link = link
    this.#names = names
    this.#watches = new RedisWatches(link, events)
  }

  async join(channel: string, member: string, info: Uint8Array, ttl: number): Promise<boolean> {
    this.#check(channel, member)
    checkBytes('info', info)
    checkTtl(ttl)
    return (await this.#run(channel, 'join', member, String(ttl), Buffer.from(info))) === 1
  }

  async refresh(channel: string, member: string, ttl: number): Promise<boolean> {
    this.#check(channel, member)
    checkTtl(ttl)
    return (await this.#run(channel, 'refresh', member, String(ttl))) === 1
  }

  async leave(channel: string, member: string): Promise<boolean> {
    this.#check(channel, member)
    return (await this.#run(channel, 'leave', member)) === 1
  }

  async members(channel: string, options: { after?: string; limit?: number } = {}): Promise<Member[]> {
    this.#check(channel)
    const { after, limit } = checkRange(options)
    const members: Member[] = []
    for (let from: string | Buffer | null = after; from !== null && members.length < limit; ) {
      const most = Math.min(limit - members.length, AT_ONCE)
      const reply = await this.#run(channel, 'members', from, String(most))
      const [told, last, ...page] = reply as [number, Buffer | null, ...Buffer[]]
      this.#watches.read(this.#names.of('presence', channel), told)
      for (let at = 0; at < page.length; at += 2) {
        members.push({ member: page[at]!.toString(), info: new Uint8Array(page[at + 1]!) })
      }
      from = last
    }
    return members
  }

  async count(channel: string): Promise<number> {
    this.#check(channel)
    return (await this.#run(channel, 'count')) as number
  }

  async watch(channel: string, handler: PresenceHandler): Promise<Subscription> {
    this.#check(channel)
    if (typeof handler?.joined !== 'function' || typeof handler.left !== 'function') {
      throw invalid('The handler must have the methods `joined` and `left`')
    }
    return this.#watches.add(this.#names.of('presence', channel), handler)
  }

  close(): void {
    this.#watches.close()
  }

  #run(channel: string, what: string, ...args: (string | Buffer)[]): Promise<Reply> {
    return this.#link.run(PRESENCE, [...keysOf(this.#names.of('presence', channel)), what, ...args])
  }

  #check(channel: string, member?: string): void {
    this.#link.checkOpen()
    checkName('channel', channel)
    if (member !== undefined) checkName('member', member)
  }
}
