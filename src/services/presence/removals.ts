import { BusListener } from '../bus-listener.js'
import type { ServiceServer } from '../service.js'

/** Takes users out of channels on every server: by the engine's bus, where it has one. */
export class Removals {
  readonly #server: ServiceServer
  readonly #here: (channel: string, user: string) => Promise<void>
  readonly #listener: BusListener

  private constructor(server: ServiceServer, here: (channel: string, user: string) => Promise<void>) {
    this.#server = server
    this.#here = here
    this.#listener = new BusListener(server, this.#address, bytes => {
      const [channel, user] = JSON.parse(Buffer.from(bytes).toString()) as [string, string]
      here(channel, user).catch(error =>
        server.log.warn(`${user} cannot be taken out of ${channel}`, { error }),
      )
    })
  }

  /** @param here takes a user out of a channel on this server */
  static async begin(
    server: ServiceServer,
    here: (channel: string, user: string) => Promise<void>,
  ): Promise<Removals> {
    const removals = new Removals(server, here)
    await removals.#listener.listen()
    return removals
  }

  /** Resolves when this server's devices are out and the others have been sent for. */
  async remove(channel: string, user: string): Promise<void> {
    await this.#here(channel, user)
    await this.#server.engine.bus?.send(this.#address, Buffer.from(JSON.stringify([channel, user])))
  }

  close(): void {
    this.#listener.close()
  }

  /** All servers with a service of this name listen under it. */
  get #address(): string {
    return `presence:${this.#server.name}`
  }
}
