import type { Connection, ServiceServer } from '../service.js'
import { type Actors, viewerOf } from './actors.js'
import type { CheckedMachineOptions } from './options.js'

/** Milliseconds until a key that could not be shown is tried again; doubled at each failure. */
const MIN_RETRY = 500
const MAX_RETRY = 30_000

/**
 * Connections that come from another server, with the keys that they view.
 *
 * Their clients have asked already, and hear nothing of it. What fails is tried again until they leave.
 */
export class Arrivals {
  readonly #server: ServiceServer
  readonly #actors: Actors
  readonly #isKey: CheckedMachineOptions['isKey']
  readonly #viewed: Map<string, Set<string>>
  readonly #timers = new Set<NodeJS.Timeout>()

  /** @param viewed keys by connection: those of a client that leaves one are no longer among them */
  constructor(
    server: ServiceServer,
    actors: Actors,
    { isKey }: Pick<CheckedMachineOptions, 'isKey'>,
    viewed: Map<string, Set<string>>,
  ) {
    this.#server = server
    this.#actors = actors
    this.#isKey = isKey
    this.#viewed = viewed
  }

  /** @param state keys, as the other server has given them */
  take(connection: Connection, state: unknown): void {
    const keys = Array.isArray(state) ? (state as unknown[]).filter(key => this.#isTaken(key)) : []
    if (keys.length === 0) return
    const own = new Set(keys as string[])
    this.#viewed.set(connection.id, own)
    for (const key of own) void this.#show(connection, key, own, MIN_RETRY)
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #isTaken(key: unknown): boolean {
    return typeof key === 'string' && this.#isKey(key)
  }

  async #show(connection: Connection, key: string, own: Set<string>, delay: number): Promise<void> {
    const { id } = connection
    const wanted = {
      get open() {
        return connection.open && own.has(key)
      },
    }
    try {
      await this.#actors.goOn(key, viewerOf(connection), wanted)
    } catch (error) {
      if (!wanted.open || this.#actors.has(key, id)) return
      this.#server.log.debug(`"${key}" cannot be shown yet to a client of another server`, { error })
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        if (wanted.open) void this.#show(connection, key, own, Math.min(delay * 2, MAX_RETRY))
      }, delay)
      timer.unref()
      this.#timers.add(timer)
    }
  }
}
