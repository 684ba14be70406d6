import { KIND } from '../protocol/envelope.js'
import type { Audience, Connection, ServiceAudience } from '../services/service.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import { namesOf } from './rooms.js'

/** Whom an audience is made of: names of rooms or ids of connections. */
interface Chosen {
  /** Undefined for everybody. */
  readonly names: readonly string[] | undefined
  readonly except: readonly string[]
}

/** The connections that are in one of several rooms and in none of others, looked up when it is used. */
export class BrokerAudience implements Audience {
  protected readonly broker: Broker
  protected readonly chosen: Chosen

  constructor(broker: Broker, chosen: Chosen = { names: undefined, except: [] }) {
    this.broker = broker
    this.chosen = chosen
  }

  to(names: string | readonly string[]): this {
    return this.with({ ...this.chosen, names: [...(this.chosen.names ?? []), ...namesOf(names)] })
  }

  except(names: string | readonly string[]): this {
    return this.with({ ...this.chosen, except: [...this.chosen.except, ...namesOf(names)] })
  }

  get size(): number {
    const members = this.members()
    return 'size' in members ? members.size : members.length
  }

  connections(): readonly Connection[] {
    return [...this.members()]
  }

  join(rooms: string | readonly string[]): number {
    return this.broker.rooms.join(this.members(), rooms)
  }

  leave(rooms: string | readonly string[]): void {
    this.broker.rooms.leave(this.members(), rooms)
  }

  disconnect(reason?: string): number {
    const members = [...this.members()]
    for (const connection of members) connection.close(reason)
    return members.length
  }

  protected with(chosen: Chosen): this {
    return new BrokerAudience(this.broker, chosen) as this
  }

  /** Each once, however many names fit. */
  protected members(): readonly BrokerConnection[] | ReadonlySet<BrokerConnection> {
    const { names, except } = this.chosen
    const chosen = names === undefined ? [...this.broker.connections.byId.values()] : this.#named(names)
    if (except.length === 0) return chosen
    const spared = new Set(this.#named(except))
    return [...chosen].filter(connection => !spared.has(connection))
  }

  #named(names: readonly string[]): ReadonlySet<BrokerConnection> {
    const { rooms, connections } = this.broker
    const groups = names.map(name => {
      const connection = connections.byId.get(name)
      // Nobody who has a room named after somebody else's connection hears what is meant for that one.
      return connection === undefined ? rooms.members(name) : new Set([connection])
    })
    if (groups.length === 1) return groups[0]!
    return new Set(groups.flatMap(group => [...group]))
  }
}

/** The same, to which a service sends. */
export class BrokerServiceAudience extends BrokerAudience implements ServiceAudience {
  readonly #service: { readonly id: number; readonly name: string }

  constructor(broker: Broker, service: { readonly id: number; readonly name: string }, chosen?: Chosen) {
    super(broker, chosen)
    this.#service = service
  }

  send(message: unknown): number {
    const outgoing = new Outgoing(this.broker.primaryCodec, KIND.MESSAGE, this.#service.id, 0, message)
    let there = 0
    // What is sent may end a connection, which then leaves the room that is being walked through: sets allow that.
    const { only } = this.broker
    for (const connection of this.members()) {
      if (only !== undefined && connection !== only) continue
      connection.deliver(outgoing)
      there++
    }
    return there
  }

  relay(message: unknown): void {
    const { names, except: spared } = this.chosen
    this.broker.cluster?.relay(this.#service.name, { ...(names && { to: names }), spared }, message)
  }

  protected override with(chosen: Chosen): this {
    return new BrokerServiceAudience(this.broker, this.#service, chosen) as this
  }
}
