import type { AnyActorLogic } from '../../actors/runtime/index.js'
import type { ServiceServer } from '../service.js'
import { type Actors, type Look, TIMEOUT, viewerOf, type Wanted } from './actors.js'
import type { MachineEvent } from './client.js'
import { alive } from './entry.js'
import { Keeper } from './keeper.js'
import type { CheckedMachineOptions, MachineContext } from './options.js'
import { Viewers } from './viewers.js'

/** The actors of a server that shares its engine with no other. */
export class LocalActors implements Actors {
  readonly #keeper: Keeper<Viewers>

  constructor(server: ServiceServer, logic: AnyActorLogic, options: CheckedMachineOptions) {
    const { shared, project } = options
    const host = { server, shared, project }
    this.#keeper = new Keeper(server, logic, options, key => new Viewers(host, key))
  }

  view(key: string, ctx: MachineContext, wanted: Wanted): Promise<void> {
    return this.#keeper.use(key, ctx, async entry => {
      await entry.begun()
      if (wanted.open) entry.audience.join(viewerOf(ctx.connection))
    })
  }

  goOn(key: string, ctx: MachineContext, wanted: Wanted): Promise<void> {
    return this.view(key, ctx, wanted)
  }

  leave(key: string, connectionId: string): void {
    if (this.#keeper.entries.get(key)?.audience.leave(connectionId)) this.#keeper.left(key)
  }

  has(key: string, connectionId: string): boolean {
    return this.#keeper.entries.get(key)?.audience.has(connectionId) === true
  }

  look(key: string, ctx: MachineContext, take: (look: Look) => void): Promise<void> {
    return this.#keeper.use(key, ctx, async entry => {
      await entry.begun()
      take(entry.audience.look(ctx))
    })
  }

  can(key: string, ctx: MachineContext, event: MachineEvent): Promise<boolean> {
    return this.#keeper.use(key, ctx, async entry => {
      await entry.begun()
      return entry.can(event)
    })
  }

  send(key: string, ctx: MachineContext, event: MachineEvent): Promise<void> {
    return this.#keeper.use(key, ctx, (entry, ref) => alive(entry, ref).perform(event, { timeout: TIMEOUT }))
  }
}
