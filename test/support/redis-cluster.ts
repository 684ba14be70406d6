import { createCluster } from 'redis'
import { freePort, RedisServer, redisClient } from './redis.js'

const SLOTS = 16_384

/** A Redis Cluster on free ports of the loopback: masters that share the slots, and replicas of the first ones. */
export class RedisCluster {
  /** Masters as they began, then replicas. */
  readonly servers: RedisServer[] = []
  readonly #masters: number
  readonly #replicas: number

  constructor({ masters = 3, replicas = 0 } = {}) {
    this.#masters = masters
    this.#replicas = replicas
  }

  async start(): Promise<this> {
    const count = this.#masters + this.#replicas
    for (let i = 0; i < count; i++) {
      const options = {
        'cluster-enabled': 'yes',
        'cluster-node-timeout': '1000',
        'cluster-port': String(await freePort()),
        'cluster-announce-hostname': '',
        'repl-diskless-sync-delay': '0',
      }
      this.servers.push(await new RedisServer(options).start())
    }
    const clients = await Promise.all(this.servers.map(({ port }) => redisClient(port)))
    const [first, ...others] = clients as [(typeof clients)[0], ...typeof clients]
    const ask = (words: string[]) => first.sendCommand(words) as Promise<unknown>
    for (let i = 0; i < this.#masters; i++) {
      const from = Math.floor((i * SLOTS) / this.#masters)
      const to = Math.floor(((i + 1) * SLOTS) / this.#masters) - 1
      await clients[i]!.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)])
      // Without epochs of their own they have to agree on them first.
      await clients[i]!.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1)])
    }
    const bus = this.servers.map(server => server.option('cluster-port'))
    for (const i of others.keys()) {
      await ask(['CLUSTER', 'MEET', '127.0.0.1', String(this.servers[i + 1]!.port), bus[i + 1]!])
    }
    await Promise.all(clients.map(client => until(async () => (await known(client)) === count)))
    for (let i = 0; i < this.#replicas; i++) {
      const master = String(await clients[i]!.sendCommand(['CLUSTER', 'MYID']))
      await clients[this.#masters + i]!.sendCommand(['CLUSTER', 'REPLICATE', master])
    }
    await Promise.all(clients.map(client => until(() => isWhole(client))))
    for (let i = 0; i < this.#replicas; i++) {
      const replica = clients[this.#masters + i]!
      await until(async () => /master_link_status:up/.test(String(await replica.sendCommand(['INFO']))))
    }
    for (const client of clients) client.destroy()
    return this
  }

  /** A client as an engine takes it; not connected. */
  client() {
    const rootNodes = this.servers.map(({ port }) => ({ url: `redis://127.0.0.1:${port || 1}` }))
    const cluster = createCluster({
      rootNodes: rootNodes.length > 0 ? rootNodes : [{ url: 'redis://127.0.0.1:1' }],
    })
    return cluster.on('error', () => undefined)
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(server => server.stop()))
  }
}

type Client = Awaited<ReturnType<typeof redisClient>>

async function known(client: Client): Promise<number> {
  const info = String(await client.sendCommand(['CLUSTER', 'INFO']))
  return Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1])
}

async function isWhole(client: Client): Promise<boolean> {
  return /cluster_state:ok/.test(String(await client.sendCommand(['CLUSTER', 'INFO'])))
}

/** Asks a server that tells of nothing by itself until it says so. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 20))
}
