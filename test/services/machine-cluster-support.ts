/** Servers of one cluster with machines, in one process under virtual time, each of which can be cut off. */
import { onTestFinished } from 'vitest'
import { assign, setup } from 'xstate'
import { createClient } from '../../src/client/node.js'
import type { Engine } from '../../src/engines/engine.js'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import type { StopOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { machineClient } from '../../src/services/machine/client.js'
import { type MachineOptions, machine } from '../../src/services/machine/index.js'
import { virtualTime } from '../../src/testing/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { memory } from '../../src/transports/memory.js'
import { LogLines } from '../support/wire.js'

/** Milliseconds of a lease. */
export const LEASE = 3000

/** What its actions have done, in any server of this process. */
export const acted: string[] = []

/** Counts; one that is armed goes off by itself after a while. */
export const counter = setup({
  types: {} as {
    context: { key: string; count: number; by: string }
    events:
      | { type: 'add'; by: string }
      | { type: 'arm' }
      | { type: 'end' }
      | { type: 'break' }
      | { type: 'spoil' }
    input: { key: string }
  },
}).createMachine({
  context: ({ input }) => ({ key: input.key, count: 0, by: '' }),
  initial: 'on',
  states: {
    on: { on: { arm: 'armed' } },
    armed: { after: { 4000: 'off' } },
    off: { entry: ({ context }) => void acted.push(`${context.key} off`) },
    over: { type: 'final' },
  },
  on: {
    add: { actions: assign(({ context, event }) => ({ count: context.count + 1, by: event.by })) },
    end: '.over',
    break: {
      actions: () => {
        throw new Error('broken')
      },
    },
    spoil: { actions: assign({ by: () => (() => 'no plain data') as never }) },
  },
})

const EVENTS = ['add', 'arm', 'end', 'break', 'spoil'] as const
type Options<View> = MachineOptions<typeof counter, (typeof EVENTS)[number], View>

const whole = (snapshot: { value: unknown; context: { count: number; by: unknown } }) => ({
  value: snapshot.value as string,
  count: snapshot.context.count,
  by: snapshot.context.by,
})
type Whole = ReturnType<typeof whole>

/** The parts of an engine as one server has them: cut off, every call fails and nothing is heard. */
export function cuttable(engine: ReturnType<typeof memoryEngine>) {
  const state = { isCut: false, isDeaf: false, sent: 0 }
  const guard = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (state.isCut) return Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is cut off'))
          if (name === 'send') state.sent++
          if (name !== 'listen') return value.apply(target, args)
          const hear = args[1] as (bytes: Uint8Array) => void
          const heed = (bytes: Uint8Array) => {
            if (!state.isCut && !state.isDeaf) hear(bytes)
          }
          return value.call(target, args[0], heed)
        }
      },
    })
  const own: Engine = {
    name: 'memory',
    kv: guard(engine.kv),
    lease: guard(engine.lease),
    bus: guard(engine.bus),
    presence: guard(engine.presence),
    on: engine.on.bind(engine),
    close: async () => undefined,
  }
  return { engine: own, state }
}

/** Ends servers, their engine and their time, once however often it is called; at the latest when the test does. */
export function endingOnce(
  nodes: readonly { stop(): Promise<void> }[],
  engine: Pick<Engine, 'close'>,
  time: { restore(): void },
): () => Promise<void> {
  let ended: Promise<void> | undefined
  const end = () => {
    ended ??= (async () => {
      for (const node of nodes) await node.stop()
      await engine.close()
      time.restore()
    })()
    return ended
  }
  onTestFinished(end)
  return end
}

export function machineCluster<View = Whole>(options: Partial<Options<View>> = {}) {
  const time = virtualTime()
  const engine = memoryEngine()
  acted.length = 0
  const nodes: { stop(): Promise<void> }[] = []

  const start = async (name: string) => {
    const transport = memory()
    const log = new LogLines()
    const { engine: own, state } = cuttable(engine)
    const app = new Server({
      transport,
      engine: own,
      log: log.target,
      env: 'test',
      cluster: { name, lease: LEASE, deadline: 1000 },
    }).service(
      'counter',
      machine(counter, {
        events: EVENTS,
        authorize: () => true,
        input: key => ({ key }),
        project: whole as unknown as NonNullable<Options<View>['project']>,
        persist: true,
        ...options,
      }),
    )
    await time.until(app.start())
    const connect = async () => {
      const client = createClient<typeof app>({
        url: 'memory:',
        transport: memoryClient(transport),
        services: { counter: machineClient },
        reconnect: false,
      })
      await time.until(client.connect())
      return client.api.counter
    }
    const stop = (given: StopOptions = { drain: 0 }) => time.until(app.stop(given))
    nodes.push({ stop })
    return {
      app,
      log,
      state,
      stop,
      connect,
      /** Keys whose actors live here. */
      keys: () => [...(app.actors.find('/services/counter/machines')?.children.keys() ?? [])].sort(),
    }
  }
  const end = endingOnce(nodes, engine, time)
  return { time, engine, start, end }
}
