import type { KeyValue } from '../../src/engines/engine.js'

/** A store whose writes can be held back, and be made to fail before or after they take effect. */
export function gatedStore(store: KeyValue) {
  const waiting: (() => void)[] = []
  let shut = false
  const faults: ('before' | 'after')[] = []
  const gate: KeyValue = {
    get: key => store.get(key),
    delete: (key, options) => store.delete(key, options),
    keys: options => store.keys(options),
    async set(key, value, options) {
      if (shut) await new Promise<void>(resolve => waiting.push(resolve))
      const fault = faults.shift()
      if (fault === 'before') throw new Error('the disk is full')
      const version = await store.set(key, value, options)
      if (fault === 'after') throw new Error('the answer was lost')
      return version
    },
  }
  return {
    store: gate,
    /** Writes held back. */
    get waiting(): number {
      return waiting.length
    },
    shut(): void {
      shut = true
    },
    /** Lets those through that wait; further ones too, unless it is to stay shut. */
    open(stay = false): void {
      shut = stay
      for (const resolve of waiting.splice(0)) resolve()
    },
    /** Has the next write fail. */
    fail(when: 'before' | 'after'): void {
      faults.push(when)
    },
  }
}
