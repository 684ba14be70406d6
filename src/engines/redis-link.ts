import { createHash } from 'node:crypto'
import { unavailable } from './checks.js'
import type { Events } from './events.js'
import { RedisSubscriptions } from './redis-subscriptions.js'
import type { RedisWire, Reply, WireEvents, Words } from './redis-wire.js'

/** Calls that may wait for Redis at once; past it they are refused. */
const MOST_CALLS = 100_000

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

/** Calls of Redis with a deadline for each, and what is heard from it. */
export class RedisLink {
  readonly #wire: RedisWire
  readonly #events: Events
  readonly #deadline: number
  readonly #scripts: ReadonlyMap<Script, Script>
  readonly #again: (() => void)[] = []
  readonly #listeners = new Map<string, Listener>()
  readonly #subscriptions: RedisSubscriptions
  readonly #closing = deferred<never>()
  #loaded = deferred<void>()
  #isLoaded = false
  /** Commands failed since they last worked. */
  #wasLost = false
  /** `down` was told, and `up` not yet. */
  #isDown = false
  #calls = 0
  #closed = false

  constructor(
    connect: (events: WireEvents) => RedisWire,
    deadline: number,
    scripts: readonly Script[],
    events: Events,
  ) {
    this.#deadline = deadline
    this.#events = events
    this.#closing.promise.catch(() => undefined)
    this.#wire = connect({
      ready: () => void this.#load(),
      heard: (channel, message) => {
        const listener = this.#closed ? undefined : this.#listeners.get(channel)
        if (listener) events.guard(() => listener(message))
      },
      again: () => this.#heardAgain(),
      failed: cause => this.#failed(cause),
    })
    this.#scripts = new Map(scripts.map(each => [each, this.#wire.sharded ? each.sharded() : each]))
    this.#subscriptions = new RedisSubscriptions(this.#wire)
    this.#wire.connect()
  }

  /** Calls back each time that messages may have been missed. */
  onAgain(listener: () => void): void {
    this.#again.push(listener)
  }

  /** Runs a script, where its first key is. @throws SocketStreamError `ENGINE_UNAVAILABLE` */
  run(script: Script, args: Words): Promise<Reply> {
    const { digest, text, keys } = this.#scripts.get(script) ?? script
    const key = String(args[0])
    const rest = [String(keys), ...args]
    return this.#call(async () => {
      try {
        return await this.#wire.send(key, ['EVALSHA', digest, ...rest])
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        return this.#wire.send(key, ['EVAL', text, ...rest])
      }
    })
  }

  /** Sends to a channel; resolves to how many heard it. @throws SocketStreamError `ENGINE_UNAVAILABLE` */
  publish(channel: string, message: Buffer): Promise<number> {
    const command = this.#wire.sharded ? 'SPUBLISH' : 'PUBLISH'
    return this.#call(() => this.#wire.send(channel, [command, channel, message]) as Promise<number>)
  }

  /** Hears a channel, from when the promise resolves; one listener for each. */
  subscribe(channel: string, listener: Listener): Promise<void> {
    this.checkOpen()
    this.#listeners.set(channel, listener)
    return this.#inTime(this.#subscriptions.change(channel, 'subscribe'))
  }

  /** Hears a channel no longer. */
  unsubscribe(channel: string): void {
    this.#listeners.delete(channel)
    if (!this.#closed) this.#subscriptions.change(channel, 'unsubscribe').catch(() => undefined)
  }

  /** The change of a subscription that is under way, if one is. */
  changing(channel: string): Promise<void> | undefined {
    const change = this.#subscriptions.changing(channel)
    return change && this.#inTime(change)
  }

  checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#closing.reject(unavailable('The engine is closed'))
    this.#wire.destroy()
  }

  async #call<Result>(call: () => Promise<Result>): Promise<Result> {
    this.checkOpen()
    if (this.#calls >= MOST_CALLS) throw unavailable('redis: too many calls wait already; slow down')
    this.#calls++
    // Sent in this turn where it can be, so that calls keep their order.
    const sent = this.#isLoaded ? call() : this.#loaded.promise.then(call)
    try {
      return await this.#inTime(sent)
    } finally {
      this.#calls--
    }
  }

  async #inTime<Result>(call: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const text = `redis: no answer within ${this.#deadline} ms; it may have taken effect`
      timer = setTimeout(() => reject(unavailable(text)), this.#deadline)
    })
    try {
      return await Promise.race([call, late, this.#closing.promise])
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENGINE_UNAVAILABLE') throw error
      throw unavailable(`redis: ${(error as Error).message}; see that it runs and has room`, error)
    } finally {
      clearTimeout(timer)
      call.catch(() => undefined)
    }
  }

  async #load(): Promise<void> {
    try {
      await this.#wire.load([...this.#scripts.values()].map(({ text }) => text))
    } catch (error) {
      this.#failed(error)
      return
    }
    if (this.#closed || !this.#wire.isReady) return
    this.#isLoaded = true
    this.#loaded.resolve()
    const wasLost = this.#wasLost
    this.#wasLost = false
    this.#works()
    if (wasLost) for (const listener of this.#again) listener()
  }

  #heardAgain(): void {
    if (this.#closed) return
    this.#events.emit('gap')
    for (const listener of this.#again) listener()
    this.#works()
  }

  #works(): void {
    if (!this.#isDown || !this.#isLoaded || !this.#wire.isHearing) return
    this.#isDown = false
    this.#events.emit('up')
  }

  #failed(cause: unknown): void {
    const { isReady, isHearing } = this.#wire
    if (this.#closed || (isReady && isHearing)) return
    if (!isReady) {
      this.#wasLost = true
      if (this.#isLoaded) this.#loaded = deferred<void>()
      this.#isLoaded = false
    }
    if (this.#isDown) return
    this.#isDown = true
    this.#events.emit('down', cause)
  }
}

function deferred<T>() {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
