/** Servers of one cluster that listen to which channels are occupied, in one process under virtual time. */
import { createClient } from '../../src/client/node.js'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import type { Occupancy } from '../../src/engines/occupancy.js'
import { SocketStreamError } from '../../src/errors.js'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { virtualTime } from '../../src/testing/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { memory } from '../../src/transports/memory.js'
import { LogLines } from '../support/wire.js'
import { cuttable, endingOnce } from './machine-cluster-support.js'

/** Milliseconds of a lease. */
export const LEASE = 3000

/** Milliseconds for which a server stays in a channel without subscribers. */
export const LINGER = 1000

/** The calls of an occupancy, whose answers can be late or lost. */
function disturbed(occupancy: Occupancy) {
  const state = { isCut: false, losesReplies: false, delay: 0, calls: 0 }
  const through = <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) => {
    return async (...args: Args): Promise<Result> => {
      state.calls++
      if (state.isCut) throw new SocketStreamError('ENGINE_UNAVAILABLE', 'it is cut off')
      const result = await call(...args)
      if (state.delay > 0) await new Promise(resolve => setTimeout(resolve, state.delay))
      if (state.losesReplies) throw new SocketStreamError('ENGINE_UNAVAILABLE', 'the reply was lost')
      return result
    }
  }
  const own: Occupancy = {
    enter: through((...args) => occupancy.enter(...args)),
    leave: through((...args) => occupancy.leave(...args)),
    evict: through((...args) => occupancy.evict(...args)),
    occupants: through((...args) => occupancy.occupants(...args)),
  }
  return { occupancy: own, state }
}

export function occupancyCluster() {
  const time = virtualTime()
  const engine = memoryEngine()
  /** What all servers were told, in order. */
  const told: string[] = []
  const nodes: { stop(): Promise<void> }[] = []

  /** A server that listens, unless it is not to. */
  const start = async (name: string, isListening = true, options: Partial<ServerOptions> = {}) => {
    const transport = memory()
    const log = new LogLines()
    const { engine: guarded, state: whole } = cuttable(engine)
    const { occupancy, state } = disturbed(engine.occupancy)
    const app = new Server({
      transport,
      engine: { ...guarded, log: engine.log, occupancy },
      log: log.target,
      env: 'test',
      sessions: { secret: 'a secret of these tests' },
      cluster: { name, lease: LEASE, deadline: 1000 },
      ...options,
    }).service(
      'chat',
      pubsub<{ said: [text: string] }>({ channels: { 'kept:*': { history: { size: 10 } } } }),
    )
    await time.until(app.start())
    const { chat } = app.api
    /** Channels that this server is the one that is told of. */
    const owned = new Set<string>()
    const faults: string[] = []
    if (isListening)
      chat.on('occupied', (channel, { moved }) => {
        told.push(`${name} +${channel}${moved ? ' moved' : ''}`)
        if (owned.has(channel)) faults.push(`${channel} is occupied twice`)
        owned.add(channel)
      })
    if (isListening)
      chat.on('vacated', (channel, { moved }) => {
        told.push(`${name} -${channel}${moved ? ' moved' : ''}`)
        if (!owned.delete(channel)) faults.push(`${channel} is vacated without having been occupied`)
      })
    const connect = async () => {
      const client = createClient<typeof app>({
        url: 'memory:',
        transport: memoryClient(transport),
        reconnect: false,
      })
      await time.until(client.connect())
      return client
    }
    const stop = () => time.until(app.stop({ drain: 0 }))
    nodes.push({ stop })
    return {
      app,
      chat,
      log,
      owned,
      faults,
      connect,
      stop,
      state,
      /** Cut off, the server has nothing of the engine, and is taken for dead. */
      cut: () => {
        whole.isCut = state.isCut = true
      },
      heal: () => {
        whole.isCut = state.isCut = state.losesReplies = false
        state.delay = 0
      },
    }
  }
  const end = endingOnce(nodes, engine, time)
  /** What was told since the last call, and a while later. */
  const take = async (ms = 0) => {
    await time.settle()
    await time.advance(ms)
    return told.splice(0)
  }
  return { time, engine, start, take, end }
}
