import type { Connection, Request, ServiceServer } from '../service.js'
import type { Channels } from './channels.js'

/** Plain subscribers, each with its channels: what another server of a cluster needs to keep those open. */
export class PlainSubscribers {
  readonly #server: ServiceServer
  readonly #channels: Channels
  readonly #byConnection = new Map<string, Set<string>>()

  constructor(server: ServiceServer, channels: Channels) {
    this.#server = server
    this.#channels = channels
  }

  /** Lets a client subscribe by topic; waits until its channel is open. */
  subscribe(request: Request, name: string): unknown {
    const channel = this.#channels.reserve(name)
    const { connection } = request
    request.onend(() => {
      this.#note(connection, name)
      this.#channels.release(channel)
    })
    return channel.ready()
  }

  /** One has come from another server, with its topics: opens their channels. Resolves when they are ready. */
  async arrive(connection: Connection, names: readonly string[]): Promise<void> {
    const all = names.map(async name => {
      const channel = this.#channels.reserve(name)
      try {
        await channel.ready()
      } finally {
        this.#note(connection, name)
        this.#channels.release(channel)
      }
    })
    await Promise.all(all)
  }

  /** A client has left. */
  left(connection: Connection, name: string): void {
    const names = this.#byConnection.get(connection.id)
    if (names?.delete(name) && names.size === 0) this.#byConnection.delete(connection.id)
    this.#channels.left(connection, name)
  }

  /** The channels of a connection. */
  of({ id }: Connection): readonly string[] {
    return [...(this.#byConnection.get(id) ?? [])]
  }

  /** Nobody asks in a server that is alone. */
  #note(connection: Connection, name: string): void {
    const server = this.#server
    if (server.cluster === undefined || !server.topic(name).has(connection)) return
    const { id } = connection
    const names = this.#byConnection.get(id)
    if (names === undefined) this.#byConnection.set(id, new Set([name]))
    else names.add(name)
  }
}
