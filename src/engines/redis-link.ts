import { createHash } from 'node:crypto'
import { unavailable } from './checks.js'
import type { Events } from './events.js'
import { RedisDeadlines } from './redis-deadlines.js'
import { RedisSubscriptions } from './redis-subscriptions.js'
import { isRefusedForNow, type RedisWire, type Reply, type WireEvents, type Words } from './redis-wire.js'

/** Calls that may wait for Redis at once; past it they are refused. */
export const MOST_CALLS = 100_000

/** Milliseconds at most before Redis is tried again. */
const MOST_DELAY = 1000

type Listener = (message: Buffer) => void

/** A Lua script, called by its digest. */
export class Script {
  readonly digest: string
  constructor(
    readonly text: string,
    readonly keys: number,
  ) {
    this.digest = createHash('sha1').update(text).digest('hex')
  }

  /** The same for a cluster, where channels belong to slots. */
  sharded(): Script {
    return new Script(this.text.replaceAll("'PUBLISH'", "'SPUBLISH'"), this.keys)
  }
}

/** Does nothing, and is refused where scripts that write are: on a replica, while Redis loads, or is busy. */
const PROBE = new Script('#!lua flags=allow-oom\nreturn 1', 0)

/** Calls of Redis with a deadline for each, and what is heard from it. */
export class RedisLink {
  readonly #wire: RedisWire
  readonly #events: Events
  readonly #deadlines: RedisDeadlines
  readonly #scripts: ReadonlyMap<Script, Script>
  readonly #again: (() => void)[] = []
  readonly #before: (() => void)[] = []
  readonly #listeners = new Map<string, Listener>()
  readonly #subscriptions: RedisSubscriptions
  /** What begins calls that wait until Redis is there; those whose deadline is over are none any more. */
  readonly #held = new Set<() => void>()
  /** Calls go out: Redis is there, and does what it is told. */
  #isLoaded = false
  #loads = 0
  /** What `down` was told with. */
  #cause: unknown
  /** `down` was told, and `up` not yet. */
  #isDown = false
  #closed = false

  constructor(
    connect: (events: WireEvents) => RedisWire,
    deadline: number,
    scripts: readonly Script[],
    events: Events,
  ) {
    this.#deadlines = new RedisDeadlines(deadline)
    this.#events = events
    this.#wire = connect({
      ready: () => void this.#load(),
      heard: (channel, message) => {
        const listener = this.#closed ? undefined : this.#listeners.get(channel)
        if (listener) events.guard(() => listener(message))
      },
      again: () => this.#heardAgain(),
      failed: cause => this.#failed(cause),
    })
    this.#scripts = new Map(
      [...scripts, PROBE].map(each => [each, this.#wire.sharded ? each.sharded() : each]),
    )
    this.#subscriptions = new RedisSubscriptions(this.#wire)
    this.#wire.connect()
  }

  /** Calls back each time that messages may have been missed. */
  onAgain(listener: () => void): void {
    this.#again.push(listener)
  }

  /** Calls back before each call but `runNow` and `publish`: what was gathered until then must not come after it. */
  beforeCalls(flush: () => void): void {
    this.#before.push(flush)
  }

  /** Runs a script, where its first key is. @throws SocketStreamError `ENGINE_UNAVAILABLE` */
  run(script: Script, args: Words): Promise<Reply> {
    for (const flush of this.#before) flush()
    return this.runNow(script, args)
  }

  /** The same without `beforeCalls`. @param keys how many of the arguments are keys, unless the script says so */
  runNow(script: Script, args: Words, keys = script.keys): Promise<Reply> {
    return this.#call(() => this.#send(script, args, keys))
  }

  /** Sends to a channel; resolves to how many heard it. @throws SocketStreamError `ENGINE_UNAVAILABLE` */
  publish(channel: string, message: Buffer): Promise<number> {
    const command = this.#wire.sharded ? 'SPUBLISH' : 'PUBLISH'
    return this.#call(() => this.#wire.send(channel, [command, channel, message]) as Promise<number>)
  }

  /** Channels of the same group can be touched by one script. */
  group(channel: string): number {
    return this.#wire.group(channel)
  }

  /** Hears a channel, from when the promise resolves; one listener for each. */
  subscribe(channel: string, listener: Listener): Promise<void> {
    this.checkOpen()
    this.#listeners.set(channel, listener)
    return this.#deadlines.within(this.#subscriptions.change(channel, 'subscribe'))
  }

  /** Hears a channel no longer. */
  unsubscribe(channel: string): void {
    this.#listeners.delete(channel)
    if (!this.#closed) this.#subscriptions.change(channel, 'unsubscribe').catch(() => undefined)
  }

  /** The change of a subscription that is under way, if one is. */
  changing(channel: string): Promise<void> | undefined {
    const change = this.#subscriptions.changing(channel)
    return change && this.#deadlines.within(change)
  }

  checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#deadlines.close(unavailable('The engine is closed'))
    this.#wire.destroy()
  }

  async #call<Result>(call: () => Promise<Result>): Promise<Result> {
    this.checkOpen()
    if (this.#deadlines.size >= MOST_CALLS) throw unavailable('redis: too many calls wait already; slow down')
    // Sent in this turn where it can be, so that calls keep their order.
    return this.#isLoaded ? this.#deadlines.within(call()) : this.#hold(call)
  }

  async #send(script: Script, args: Words, keys: number): Promise<Reply> {
    const { digest, text } = this.#scripts.get(script) ?? script
    const key = String(args[0])
    const rest = [String(keys), ...args]
    try {
      return await this.#wire.send(key, ['EVALSHA', digest, ...rest])
    } catch (error) {
      if ((error as Error).message.startsWith('NOSCRIPT')) {
        return this.#wire.send(key, ['EVAL', text, ...rest])
      }
      this.#refused(error)
      throw error
    }
  }

  /** Begins a call once Redis is there, unless it has failed by then: what was told as failed must not happen. */
  async #hold<Result>(call: () => Promise<Result>): Promise<Result> {
    let begin!: () => void
    const begun = new Promise<Result>(resolve => {
      begin = () => resolve(call())
    })
    this.#held.add(begin)
    try {
      return await this.#deadlines.within(begun)
    } catch (error) {
      if (!this.#held.delete(begin) || this.#closed || !this.#isDown) throw error
      throw unavailable(
        `redis: it was not sent, as it is down: ${(this.#cause as Error).message}`,
        this.#cause,
      )
    }
  }

  /** Loads the scripts, for as long as it takes until Redis does what it is told. */
  async #load(): Promise<void> {
    const load = ++this.#loads
    for (let attempt = 0; ; attempt++) {
      const refusal = await this.#prepare()
      if (this.#closed || !this.#wire.isReady) return
      if (refusal === undefined) break
      // Another one is at it since Redis was there anew.
      if (load !== this.#loads) return
      this.#isLoaded = false
      this.#down(refusal)
      await new Promise(resolve => setTimeout(resolve, Math.min(50 * 2 ** attempt, MOST_DELAY)).unref())
      if (load !== this.#loads) return
    }
    this.#isLoaded = true
    // In this turn: whatever is called next must not overtake them.
    const held = [...this.#held]
    this.#held.clear()
    for (const begin of held) begin()
    this.#works()
  }

  /** Gives what Redis refuses to work with for now, if it does. */
  async #prepare(): Promise<unknown> {
    // Where scripts may not be loaded they are sent with their first call.
    const pass = (error: unknown): void => {
      if (isRefusedForNow(error)) throw error
    }
    const texts = [...this.#scripts.values()].map(({ text }) => text)
    try {
      const loaded = this.#wire.load(texts).catch(pass)
      // Those of a cluster are each master's own affair.
      await (this.#wire.sharded ? loaded : Promise.all([loaded, this.#send(PROBE, [], 0).catch(pass)]))
      return undefined
    } catch (refusal) {
      return refusal
    }
  }

  /** Holds the calls that follow when Redis stands and refuses everything, or all that writes. */
  #refused(error: unknown): void {
    if (!this.#isLoaded || this.#closed || this.#wire.sharded || !isRefusedForNow(error)) return
    this.#isLoaded = false
    this.#down(error)
    void this.#load()
  }

  #heardAgain(): void {
    if (this.#closed) return
    this.#events.emit('gap')
    if (!this.#works()) this.#tellAgain()
  }

  /** Tells it when everything works again; gives whether it did. */
  #works(): boolean {
    if (!this.#isDown || !this.#isLoaded || !this.#wire.isWhole) return false
    this.#isDown = false
    this.#events.emit('up')
    this.#tellAgain()
    return true
  }

  #tellAgain(): void {
    for (const listener of this.#again) listener()
  }

  #failed(cause: unknown): void {
    if (this.#closed || this.#wire.isWhole) return
    if (!this.#wire.isReady) this.#isLoaded = false
    this.#down(cause)
  }

  #down(cause: unknown): void {
    this.#cause = cause
    if (this.#isDown) return
    this.#isDown = true
    this.#events.emit('down', cause)
  }
}
