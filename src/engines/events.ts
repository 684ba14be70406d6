import type { Engine, EngineEvents } from './engine.js'

type Listener = (...details: never[]) => void

/** The events of an engine of this process, and the calls of handlers that may throw. */
export class Events {
  readonly #listeners = new Map<keyof EngineEvents, Set<{ readonly call: Listener }>>()

  readonly on: Engine['on'] = (event, listener) => {
    const entry = { call: listener as Listener }
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(entry))
    return () => void listeners.delete(entry)
  }

  emit<Event extends keyof EngineEvents>(event: Event, ...details: EngineEvents[Event]): void {
    for (const { call } of [...(this.#listeners.get(event) ?? [])]) {
      try {
        call(...(details as never[]))
      } catch (error) {
        // A listener of `fault` that throws must not be told of it forever.
        if (event === 'fault') warn(error)
        else this.#fault(error)
      }
    }
  }

  /** Calls a handler; what it throws goes to `fault`, without a listener there to the process's warnings. */
  guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#fault(error)
    }
  }

  /** Forgets all listeners. */
  close(): void {
    this.#listeners.clear()
  }

  #fault(error: unknown): void {
    if (this.#listeners.get('fault')?.size) this.emit('fault', error)
    else warn(error)
  }
}

function warn(error: unknown): void {
  process.emitWarning(`A handler of an engine has thrown: ${(error as Error)?.stack ?? error}`)
}
