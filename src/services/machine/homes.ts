import type { AnyActorLogic } from '../../actors/runtime/index.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { ServiceCluster, ServiceServer } from '../service.js'
import { TIMEOUT } from './actors.js'
import type { MachineEvent } from './client.js'
import { alive, type Tenure } from './entry.js'
import { Keeper } from './keeper.js'
import type { CheckedMachineOptions, MachineContext } from './options.js'
import { Outlet, type OutletHost, type Stand } from './outlet.js'
import type { Sent } from './picture.js'

/** What is asked of an actor, wherever it lives. */
export type HomeCall =
  | readonly ['send', event: MachineEvent]
  | readonly ['can', event: MachineEvent]
  | readonly ['look']
  /** Has this server told of all states. */
  | readonly ['watch', node: string]

/** The answer to `watch`: where it lives, and the state there; null if that was shown already. */
export type WatchAnswer = readonly [node: string, stand: Stand, sent: Sent | null]

/** What a server says of the keys that it watches on another one. */
export type Standing = readonly [key: string, stand: Stand]

/** What the other one says of those whose state is another one; without a state of those that it does not have. */
export type Renewal = readonly [key: string, stand?: Stand, sent?: Sent]

/** The actors that live on this server, each under a lease, and the way to those that live elsewhere. */
export class Homes {
  readonly #server: ServiceServer
  readonly #cluster: ServiceCluster
  readonly #keeper: Keeper<Outlet>
  readonly #keyed: ReturnType<ServiceCluster['keyed']>
  /** Who waits for a key, should it have to be begun here. */
  readonly #asking = new Map<string, MachineContext[]>()
  /** Whether actors of this server are handed over. */
  draining = false

  constructor(
    server: ServiceServer,
    cluster: ServiceCluster,
    logic: AnyActorLogic,
    options: CheckedMachineOptions,
    host: OutletHost,
  ) {
    this.#server = server
    this.#cluster = cluster
    this.#keeper = new Keeper(
      server,
      logic,
      options,
      (key, tenure) => new Outlet(host, key, tenure!),
      key => void this.#keyed.release(key),
    )
    this.#keyed = cluster.keyed<HomeCall>({
      start: ({ key, fence, check }) => this.#begin(key, { fence, check }),
    })
  }

  /** Asks the actor of a key; begins it here if it lives nowhere, unless `begin` is false. */
  async call(
    key: string,
    ctx: MachineContext,
    call: HomeCall,
    options: { readonly deadline: number; readonly begin?: boolean },
  ): Promise<unknown> {
    const asking = this.#asking.get(key) ?? []
    this.#asking.set(key, asking)
    asking.push(ctx)
    try {
      if (call[0] === 'send') return await this.#keyed.call(key, call, options)
      return await this.#repeated(key, call, options)
    } finally {
      asking.splice(asking.indexOf(ctx), 1)
      if (asking.length === 0 && this.#asking.get(key) === asking) this.#asking.delete(key)
    }
  }

  /** Another server still has viewers of these, and has seen these states: gives the others. */
  renewed(standing: readonly Standing[], from: string): Renewal[] {
    const renewals: Renewal[] = []
    const now = performance.now()
    for (const [key, { fence, version }] of standing) {
      const outlet = this.#keeper.entries.get(key)?.audience
      if (outlet === undefined || outlet.stand.fence !== fence) renewals.push([key])
      else {
        const sent = outlet.watch(from, now)
        if (outlet.stand.version !== version && sent !== null) renewals.push([key, outlet.stand, sent])
      }
    }
    return renewals
  }

  /** A server views a key no more. */
  leave(key: string, node: string): void {
    if (this.#keeper.entries.get(key)?.audience.leave(node)) this.#keeper.left(key)
  }

  /** A server has gone. */
  left(node: string): void {
    for (const key of this.#keeper.entries.keys()) this.leave(key, node)
  }

  /** Forgets servers that have said nothing for so many milliseconds. */
  prune(ms: number): void {
    const before = performance.now() - ms
    for (const [key, { audience }] of this.#keeper.entries) if (audience.prune(before)) this.#keeper.left(key)
  }

  /** Hands over to the other servers, if there are any. */
  async drain(): Promise<void> {
    if (this.#cluster.others.size === 0) return
    this.draining = true
    await this.#keyed.drain()
  }

  /** Looking twice does no harm: asks again where nobody has answered, as another server may have it by then. */
  async #repeated(
    key: string,
    call: HomeCall,
    { deadline, begin = true }: { readonly deadline: number; readonly begin?: boolean },
  ): Promise<unknown> {
    const last = performance.now() + deadline
    for (;;) {
      try {
        return await this.#keyed.call(key, call, { begin })
      } catch (error) {
        const isLost = hasCode(error) && (error.code === 'TIMEOUT' || error.code === 'CONNECTION_LOST')
        if (!isLost || performance.now() >= last) throw error
      }
    }
  }

  async #begin(key: string, tenure: Tenure) {
    const ctx = this.#asking.get(key)?.[0]
    if (ctx === undefined) throw new SocketStreamError('CANCELLED', `nobody asks for "${key}" any more`)
    try {
      await this.#keeper.open(key, ctx, tenure)
    } catch (error) {
      await this.#keeper.close(key, 'now')
      throw error
    }
    return {
      call: (call: HomeCall) => this.#answer(key, ctx, call).catch(error => reject(key, tenure, error)),
      stop: async () => {
        const outlet = this.#keeper.entries.get(key)?.audience
        await this.#keeper.close(key, isHeld(tenure) ? 'drained' : 'now')
        outlet?.end()
        this.#server.log.debug(`"${key}" lives here no longer`)
      },
    }
  }

  #answer(key: string, ctx: MachineContext, call: HomeCall): Promise<unknown> {
    return this.#keeper.use(key, ctx, async (entry, ref) => {
      if (call[0] === 'send') return alive(entry, ref).perform(call[1], { timeout: TIMEOUT })
      await entry.begun()
      if (call[0] === 'can') return entry.can(call[1])
      const { audience } = entry
      if (call[0] === 'look') return audience.look()
      const sent = audience.watch(call[1], performance.now())
      return [this.#cluster.id, audience.stand, sent] satisfies WatchAnswer
    })
  }
}

/** What a caller is told: an actor that has stopped because its lease was over may have handled the event. */
function reject(key: string, tenure: Tenure, error: unknown): never {
  if (!hasCode(error) || error.code !== 'ACTOR_STOPPED' || isHeld(tenure)) throw error
  const text = `"${key}" has moved to another server; whether it has handled this is unknown`
  throw new SocketStreamError('CONNECTION_LOST', text, { cause: error, data: { accepted: 'unknown' } })
}

function isHeld({ check }: Tenure): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
