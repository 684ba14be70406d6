import type { ChannelCounts, ClusterHost } from '../cluster/cluster.js'
import type { Ended, Whom } from '../cluster/messages.js'
import type { ConnectionFilter, ConnectionInfo, LocalStatistics } from '../cluster/queries.js'
import type { Broker } from './broker.js'

/** Connections listed unless more are asked for. */
const LISTED = 1000

/** What other servers of a cluster have done on this one, and ask of it. */
export class BrokerClusterHost implements ClusterHost {
  readonly #broker: Broker

  constructor(broker: Broker) {
    this.#broker = broker
  }

  deliver(service: string, whom: Whom, message: unknown, except: string | undefined): void {
    const server = this.#broker.services.find(entry => entry?.name === service)?.server
    // Servers of two versions may have different services.
    if (server === undefined) return
    const spare = except === undefined ? {} : { except }
    if ('channel' in whom) {
      const { channel, tags } = whom
      if (server.onrelayed) {
        const repeated = this.#broker.only !== undefined
        server.onrelayed(channel, message, { ...spare, ...(tags && { tags }), ...(repeated && { repeated }) })
      } else server.topic(channel).publish(message, spare)
    } else if ('all' in whom) server.broadcast(message, spare)
    else if ('session' in whom) server.sendToSession(whom.session, message, spare)
    else if ('spared' in whom) {
      const everybody = server.except(whom.spared)
      ;(whom.to === undefined ? everybody : everybody.to(whom.to)).send(message)
    } else {
      const ids = server.connectionsOf(whom).map(({ id }) => id)
      server.sendToSocketIds(
        ids.filter(id => id !== except),
        message,
      )
    }
  }

  ended(id: string, end: Ended): void {
    this.#broker.sessions.tell({ type: 'destroyed', id, end })
  }

  missed(): void {
    this.#broker.sessions.tell({ type: 'missed', now: Date.now() })
  }

  connections({ user, limit = LISTED }: ConnectionFilter): ConnectionInfo[] {
    const { users, connections } = this.#broker
    const found: ConnectionInfo[] = []
    for (const connection of user === undefined ? connections.byId.values() : users.connectionsOf(user)) {
      if (found.length >= limit) break
      const { id, transport } = connection
      found.push({ id, user: users.of(connection), transport })
    }
    return found
  }

  channels(): ChannelCounts {
    const counts: Record<string, Readonly<Record<string, number>>> = {}
    for (const entry of this.#broker.services) {
      if (entry === undefined) continue
      const { server, name } = entry
      const topics = [...server.topics].map(([topic, { subscribers }]) => [topic, subscribers.size] as const)
      const occupied = server.onchannels?.() ?? Object.fromEntries(topics)
      if (Object.keys(occupied).length > 0) counts[name] = occupied
    }
    return counts
  }

  statistics(): LocalStatistics {
    const { connections, liveSessions } = this.#broker
    const counts = Object.values(this.channels()).map(channels => Object.keys(channels).length)
    return {
      connections: connections.byId.size,
      sessions: liveSessions.size,
      channels: counts.reduce((sum, count) => sum + count, 0),
      memory: process.memoryUsage.rss(),
      uptime: process.uptime(),
    }
  }
}
