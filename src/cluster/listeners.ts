import type { Logger } from '../log.js'

interface Listener {
  readonly call: (id: string) => void
}

/** Who is told that servers come and go. */
export class Listeners {
  readonly #log: Logger
  readonly #sets = { joined: new Set<Listener>(), left: new Set<Listener>() }

  constructor(log: Logger) {
    this.#log = log
  }

  /** Calls back at each event; gives what ends it. */
  on(event: 'joined' | 'left', listener: (id: string) => void): () => void {
    const entry = { call: listener }
    this.#sets[event].add(entry)
    return () => void this.#sets[event].delete(entry)
  }

  emit(event: 'joined' | 'left', id: string): void {
    for (const { call } of [...this.#sets[event]]) {
      try {
        call(id)
      } catch (error) {
        this.#log.error(`a listener for '${event}' of the cluster failed`, { error })
      }
    }
  }
}
