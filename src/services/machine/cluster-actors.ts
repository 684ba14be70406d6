import type { AnyActorLogic } from '../../actors/runtime/index.js'
import type { ServiceCluster, ServiceServer } from '../service.js'
import { type Actors, type Look, TIMEOUT, viewerOf, type Wanted } from './actors.js'
import type { MachineEvent } from './client.js'
import { type HomeCall, Homes } from './homes.js'
import type { CheckedMachineOptions, MachineContext } from './options.js'
import type { Changed, Stand } from './outlet.js'
import { Pictures, type Sent } from './picture.js'
import { Watches } from './watches.js'

/** The actors of a service that several servers have: each lives on one of them, under a lease. */
export class ClusterActors implements Actors {
  readonly #homes: Homes
  readonly #watches: Watches
  readonly #pictures: Pictures
  readonly #offs: readonly (() => void)[]
  readonly #timer: NodeJS.Timeout

  constructor(
    server: ServiceServer,
    cluster: ServiceCluster,
    logic: AnyActorLogic,
    options: CheckedMachineOptions,
  ) {
    this.#pictures = new Pictures(logic, options)
    const { id, lease } = cluster
    const homes = new Homes(server, cluster, logic, options, {
      pictures: this.#pictures,
      id,
      log: server.log,
      show: (key, stand, picture) => this.#watches.shown(key, id, stand, picture),
      tell: (node, message) => {
        if (node !== id) cluster.tell(node, message)
        else if (message[0] === 'gone') this.#watches.gone(message[1], message[2])
      },
    })
    this.#homes = homes
    const watches = new Watches(server, cluster, options.shared, homes, this.#pictures)
    this.#watches = watches
    cluster.ontold = (message, from) => this.#told(message as never, from)
    cluster.onask = (stands, { from }) => homes.renewed(stands as never, from)
    this.#offs = [
      cluster.on('left', node => {
        homes.left(node)
        watches.left(node)
      }),
      server.engine.on('gap', () => void watches.renew()),
    ]
    this.#timer = setInterval(() => {
      homes.prune(2 * lease)
      void watches.renew()
    }, lease / 3)
    this.#timer.unref()
  }

  view(key: string, ctx: MachineContext, wanted: Wanted): Promise<void> {
    return this.#watches.view(key, viewerOf(ctx.connection), wanted)
  }

  goOn(key: string, ctx: MachineContext, wanted: Wanted): Promise<void> {
    return this.#watches.view(key, viewerOf(ctx.connection), wanted, 'anew')
  }

  leave(key: string, connectionId: string): void {
    this.#watches.leave(key, connectionId)
  }

  has(key: string, connectionId: string): boolean {
    return this.#watches.has(key, connectionId)
  }

  async look(key: string, ctx: MachineContext, take: (look: Look) => void): Promise<void> {
    if (this.has(key, ctx.connectionId)) return take(this.#watches.look(key, ctx))
    const sent = (await this.#call(key, ctx, ['look'])) as Sent
    // For whoever views nothing.
    const view = this.#pictures.received(sent)
    take([0, view.view(ctx), view.status === 'done'])
  }

  async can(key: string, ctx: MachineContext, event: MachineEvent): Promise<boolean> {
    return (await this.#call(key, ctx, ['can', event])) === true
  }

  async send(key: string, ctx: MachineContext, event: MachineEvent): Promise<void> {
    await this.#call(key, ctx, ['send', event])
  }

  drain(): Promise<void> {
    return this.#homes.drain()
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const off of this.#offs) off()
  }

  #call(key: string, { connection }: MachineContext, call: HomeCall): Promise<unknown> {
    return this.#homes.call(key, viewerOf(connection), call, { deadline: TIMEOUT })
  }

  #told(
    message:
      | readonly ['shown', key: string, stand: Stand, sent: Sent]
      | Changed
      | readonly ['gone', key: string, fence: number]
      | readonly ['leave', key: string],
    from: string,
  ): void {
    const [kind, key] = message
    if (kind === 'shown') this.#watches.shown(key, from, message[2], this.#pictures.received(message[3]))
    else if (kind === 'changed') this.#watches.changed(message, from)
    else if (kind === 'gone') this.#watches.gone(key, message[2])
    else if (kind === 'leave') this.#homes.leave(key, from)
  }
}
