import { createHash } from 'node:crypto'
import { createClient, RESP_TYPES } from 'redis'
import { unavailable } from './checks.js'
import type { Events } from './events.js'

/** Calls that may wait for Redis at once; past it they are refused. */
const MOST_CALLS = 100_000
const CONNECT_TIMEOUT = 1000
const AS_BUFFERS = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const

/** The part of a node-redis client that an engine takes the settings of its own connections from. */
export interface RedisClientLike {
  readonly options?: object
  duplicate(overrides?: object): unknown
}

type Client = ReturnType<typeof createClient>
type Listener = (message: Buffer) => void

/** A reply, with texts as bytes. */
export type Reply = Buffer | number | null | readonly Reply[]

/** A Lua script, called by its digest. */
export class Script {
  readonly digest: string
  constructor(
    readonly text: string,
    readonly keys: number,
  ) {
    this.digest = createHash('sha1').update(text).digest('hex')
  }
}

/** Two connections to Redis, one for commands and one for what is subscribed to, and a deadline for every call. */
export class RedisLink {
  readonly #commands: Client
  readonly #subscriber: Client
  readonly #events: Events
  readonly #deadline: number
  readonly #scripts: readonly Script[]
  readonly #again: (() => void)[] = []
  readonly #listeners = new Map<string, Listener>()
  /** The last change under way of each subscription. */
  readonly #changes = new Map<string, Promise<void>>()
  readonly #closing = deferred<never>()
  #loaded = deferred<void>()
  #isLoaded = false
  #wasDown = false
  #subscriberWasReady = false
  #calls = 0
  #closed = false

  constructor(
    from: { url: string } | { client: RedisClientLike },
    deadline: number,
    scripts: readonly Script[],
    events: Events,
  ) {
    this.#deadline = deadline
    this.#scripts = scripts
    this.#events = events
    this.#closing.promise.catch(() => undefined)
    this.#commands = connection(from)
    this.#subscriber = connection(from)
    for (const client of [this.#commands, this.#subscriber]) client.on('error', this.#down)
    this.#commands.on('ready', () => void this.#load())
    this.#subscriber.on('ready', this.#resubscribed)
    for (const client of [this.#commands, this.#subscriber]) client.connect().catch(this.#down)
  }

  /** Calls back each time that messages may have been missed. */
  onAgain(listener: () => void): void {
    this.#again.push(listener)
  }

  /** Runs a script. @throws SocketStreamError `ENGINE_UNAVAILABLE` */
  run(script: Script, args: readonly (string | Buffer)[]): Promise<Reply> {
    const rest = [String(script.keys), ...args]
    return this.#call(async () => {
      try {
        return await this.#send(['EVALSHA', script.digest, ...rest])
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        return this.#send(['EVAL', script.text, ...rest])
      }
    })
  }

  /** Sends a command. @throws SocketStreamError `ENGINE_UNAVAILABLE` */
  command(...args: (string | Buffer)[]): Promise<Reply> {
    return this.#call(() => this.#send(args))
  }

  /** Hears a channel, from when the promise resolves; one listener for each. */
  subscribe(channel: string, listener: Listener): Promise<void> {
    this.checkOpen()
    this.#listeners.set(channel, listener)
    const guarded = (message: Buffer): void => {
      if (!this.#closed && this.#listeners.get(channel) === listener) {
        this.#events.guard(() => listener(message))
      }
    }
    return this.#change(channel, () => this.#subscriber.subscribe(channel, guarded, true))
  }

  /** Hears a channel no longer. */
  unsubscribe(channel: string): void {
    this.#listeners.delete(channel)
    if (this.#closed) return
    this.#change(channel, () => this.#subscriber.unsubscribe(channel)).catch(() => undefined)
  }

  /** The change of a subscription that is under way, if one is. */
  changing(channel: string): Promise<void> | undefined {
    return this.#changes.get(channel)
  }

  checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#closing.reject(unavailable('The engine is closed'))
    for (const client of [this.#commands, this.#subscriber]) {
      try {
        client.destroy()
      } catch {
        // It was not connected.
      }
    }
  }

  #send(args: (string | Buffer)[]): Promise<Reply> {
    return this.#commands.sendCommand(args, AS_BUFFERS) as Promise<unknown> as Promise<Reply>
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

  /** One change of a subscription after the other: node-redis would mix them up. */
  #change(channel: string, change: () => Promise<unknown>): Promise<void> {
    const before = this.#changes.get(channel) ?? Promise.resolve()
    const done = this.#inTime(before.catch(() => undefined).then(change)).then(() => undefined)
    this.#changes.set(channel, done)
    const forget = (): void => {
      if (this.#changes.get(channel) === done) this.#changes.delete(channel)
    }
    done.then(forget, forget)
    return done
  }

  async #load(): Promise<void> {
    try {
      await Promise.all(this.#scripts.map(({ text }) => this.#commands.sendCommand(['SCRIPT', 'LOAD', text])))
    } catch (error) {
      this.#down(error)
      return
    }
    if (this.#closed || !this.#commands.isReady) return
    this.#isLoaded = true
    this.#loaded.resolve()
    if (this.#wasDown) this.#events.emit('up')
    if (this.#wasDown) for (const listener of this.#again) listener()
    this.#wasDown = false
  }

  readonly #resubscribed = (): void => {
    if (this.#subscriberWasReady && !this.#closed) {
      this.#events.emit('gap')
      for (const listener of this.#again) listener()
    }
    this.#subscriberWasReady = true
  }

  readonly #down = (cause: unknown): void => {
    if (this.#closed) return
    if (this.#isLoaded && !this.#commands.isReady) {
      this.#isLoaded = false
      this.#loaded = deferred<void>()
    }
    if (this.#wasDown) return
    if (this.#commands.isReady && this.#subscriber.isReady) return
    this.#wasDown = !this.#commands.isReady
    this.#events.emit('down', cause)
  }
}

function connection(from: { url: string } | { client: RedisClientLike }): Client {
  const given = 'client' in from ? (from.client.options as { socket?: object } | undefined) : undefined
  const settings = {
    socket: {
      ...given?.socket,
      connectTimeout: CONNECT_TIMEOUT,
      socketTimeout: 5000,
      reconnectStrategy: (attempt: number) => Math.min(50 * 2 ** attempt, 1000) + Math.random() * 100,
    },
    pingInterval: 2000,
    // The default costs more than half of the throughput, and does not end calls of a frozen server.
    commandOptions: { timeout: undefined as never },
    disableOfflineQueue: true,
    maintNotifications: 'disabled' as const,
  }
  if ('client' in from) return from.client.duplicate(settings) as Client
  return createClient({ url: from.url, ...settings }) as Client
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
