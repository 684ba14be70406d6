import type { RedisWire, Reply, WireEvents, Words } from '../../src/engines/redis-wire.js'

/** Connections to a Redis that a test plays. */
export class FakeWire implements RedisWire {
  readonly sharded: boolean
  readonly isReady = true
  readonly isWhole = true
  events!: WireEvents
  /** What commands are answered with. */
  answer: (words: Words, key: string) => Reply | Promise<Reply> = () => null
  /** What loading scripts is answered with. */
  loading: () => void = () => undefined

  constructor(sharded = false) {
    this.sharded = sharded
  }

  connect(): void {
    this.events.ready()
  }

  async send(key: string, words: Words): Promise<Reply> {
    return this.answer(words, key)
  }

  async load(): Promise<void> {
    this.loading()
  }

  group(): number {
    return 0
  }

  async subscribe(): Promise<void> {}

  async unsubscribe(): Promise<void> {}

  destroy(): void {}

  /** As a `connect` of `RedisLink`. */
  readonly connected = (events: WireEvents): this => {
    this.events = events
    return this
  }
}
