import { checkBytes, checkName, checkRange, checkTtl, invalid } from './checks.js'
import type { Events } from './events.js'
import type { Member, Presence, PresenceHandler, Subscription } from './presence.js'
import type { RedisLink } from './redis-link.js'
import { type RedisNames, splitMessage } from './redis-names.js'
import { PRESENCE } from './redis-scripts.js'
import type { Reply } from './redis-wire.js'

/** Milliseconds between two looks at what is due. */
const SWEEP = 250
/** Milliseconds until a watched channel is looked at again at the latest. */
const LATEST = 30_000
/** Channels swept in one look. */
const MOST = 256

interface Watched {
  readonly handlers: Set<{ readonly handler: PresenceHandler }>
  readonly ready: Promise<void>
  /** When the next member may be over, by the clock of this process. */
  due: number
}

/** Presence in Redis. Whoever watches a channel drops those whose time is over: one of them, once. */
export class RedisPresence implements Presence {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #events: Events
  readonly #watched = new Map<string, Watched>()
  readonly #timer: NodeJS.Timeout

  constructor(link: RedisLink, names: RedisNames, events: Events) {
    this.#link = link
    this.#names = names
    this.#events = events
    link.onAgain(() => {
      for (const watched of this.#watched.values()) {
        watched.due = 0
        for (const { handler } of [...watched.handlers]) events.guard(() => handler.gap?.())
      }
    })
    this.#timer = setInterval(() => this.#sweep(), SWEEP).unref()
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
    const reply = (await this.#run(channel, 'members', after, String(limit))) as Buffer[]
    const members: Member[] = []
    for (let at = 0; at < reply.length; at += 2) {
      members.push({ member: reply[at]!.toString(), info: new Uint8Array(reply[at + 1]!) })
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
    const one = { handler }
    let watched = this.#watched.get(channel)
    if (!watched) {
      const topic = this.#names.of('presence', channel)
      const ready = this.#link.subscribe(topic, message => this.#hear(channel, message))
      watched = { handlers: new Set(), ready, due: 0 }
      this.#watched.set(channel, watched)
    }
    const { handlers, ready } = watched
    handlers.add(one)
    const close = () => {
      if (!handlers.delete(one) || handlers.size > 0 || this.#watched.get(channel) !== watched) return
      this.#watched.delete(channel)
      this.#link.unsubscribe(this.#names.of('presence', channel))
    }
    try {
      await ready
    } catch (error) {
      close()
      throw error
    }
    return { close }
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { handlers } of this.#watched.values()) handlers.clear()
    this.#watched.clear()
  }

  #hear(channel: string, message: Buffer): void {
    const watched = this.#watched.get(channel)
    if (!watched) return
    const { words, rest } = splitMessage(message)
    const [kind, ttl, length] = words
    const info = new Uint8Array(rest.subarray(Number(length)))
    const member = { member: rest.toString('utf8', 0, Number(length)), info }
    if (kind === 'J') watched.due = Math.min(watched.due, performance.now() + Number(ttl))
    for (const { handler } of [...watched.handlers]) {
      this.#events.guard(() => {
        if (kind === 'J') handler.joined(member)
        else handler.left(member, kind === 'L' ? 'left' : 'expired')
      })
    }
  }

  #sweep(): void {
    const now = performance.now()
    let swept = 0
    for (const [channel, watched] of this.#watched) {
      if (watched.due > now) continue
      if (++swept > MOST) return
      watched.due = now + LATEST
      this.#run(channel, 'sweep').then(
        next => {
          if ((next as number) >= 0) watched.due = Math.min(watched.due, performance.now() + (next as number))
        },
        () => {
          watched.due = performance.now() + 1000
        },
      )
    }
  }

  #run(channel: string, what: string, ...args: (string | Buffer)[]): Promise<Reply> {
    const [member = '', ...rest] = args
    const keys = ['t', 'i'].map(key => this.#names.of('presence', channel, key))
    return this.#link.run(PRESENCE, [...keys, this.#names.of('presence', channel), what, member, ...rest])
  }

  #check(channel: string, member?: string): void {
    this.#link.checkOpen()
    checkName('channel', channel)
    if (member !== undefined) checkName('member', member)
  }
}
