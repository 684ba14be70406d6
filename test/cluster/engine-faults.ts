/** The engine of one server over one that several share: what it is asked can be counted, fail, be lost or be late. */
import type { Engine, EngineEvents } from '../../src/engines/engine.js'
import type { memory } from '../../src/engines/memory.js'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import type { Presence, PresenceHandler, Subscription } from '../../src/engines/presence.js'
import { SocketStreamError } from '../../src/errors.js'

/** Makes a call of the engine, or does not; `name` is as in `presence.join`. */
export type Around = (name: string, call: () => unknown, args: readonly unknown[]) => unknown

export const away = () => new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away')

/** Milliseconds after which a silent engine gives a call up. */
export const SILENCE = 5000

/** The answer of an engine that says nothing. */
export const silent = () =>
  new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(away()), SILENCE)
  })

/** The same engine, each call of which goes through `around`; `emit` tells its listeners of events. */
export function through(engine: ReturnType<typeof memory>, around: Around) {
  const listeners = new Set<readonly [name: string, listener: () => void]>()
  const guard = <Part extends object>(named: string, part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) =>
          around(`${named}.${String(name)}`, () => Reflect.apply(value, target, args), args)
      },
    })
  const own: Engine = {
    ...engine,
    kv: guard('kv', engine.kv),
    lease: guard('lease', engine.lease),
    bus: guard('bus', engine.bus),
    presence: guard('presence', engine.presence),
    on(name, listener) {
      const entry = [name, listener as () => void] as const
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    close: async () => undefined,
  }
  const emit = (event: keyof EngineEvents) => {
    for (const [name, listener] of [...listeners]) if (name === event) listener()
  }
  return { engine: own, emit }
}

/** An engine whose presence can be lost, as that of a Redis which is emptied: nobody is told, and watchers stay. */
export function forgetful() {
  const engine = memoryEngine()
  let now: Presence = engine.presence
  const others: ReturnType<typeof memoryEngine>[] = []
  const watches = new Map<PresenceHandler, Subscription>()
  const presence: Presence = {
    join: (...args) => now.join(...args),
    refresh: (...args) => now.refresh(...args),
    leave: (...args) => now.leave(...args),
    members: (...args) => now.members(...args),
    count: (...args) => now.count(...args),
    async watch(channel, handler) {
      watches.set(handler, await now.watch(channel, handler))
      return {
        close() {
          watches.get(handler)?.close()
          watches.delete(handler)
        },
      }
    },
  }
  /** @param channel the one that is watched */
  const forget = async (channel = '$cluster') => {
    const next = memoryEngine()
    others.push(next)
    now = next.presence
    for (const [handler, watch] of watches) {
      watch.close()
      watches.set(handler, await now.watch(channel, handler))
    }
  }
  const close = async () => {
    for (const each of [engine, ...others]) await each.close()
  }
  return { engine: { ...engine, presence } as ReturnType<typeof memoryEngine>, forget, close }
}
