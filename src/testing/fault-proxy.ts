import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { checkOptions, type OptionRule } from '../transports/option-checks.js'
import { type Directions, directionsOf, FaultLog } from './fault-log.js'
import { type PipeRules, ProxyPipe } from './proxy-pipe.js'
import { seededRandom } from './seeded-random.js'

/** Options of `faultProxy`. */
export interface FaultProxyOptions extends Partial<PipeRules> {
  /** Port of the server, on this machine. */
  readonly port: number
  /** Seed of what is random. Default 1. */
  readonly seed?: number
}

/** A TCP proxy with faults in between; see `faultProxy`. */
export interface FaultProxy {
  /** Where it listens, on 127.0.0.1. */
  readonly port: number
  /** What was done, in order. */
  readonly log: FaultLog
  /** Connections open. */
  readonly open: number
  /** Resets the open connections. */
  cut(): void
  /** Lets so many more bytes through, then resets the connection: in the middle of a frame, if need be. */
  cutAfter(bytes: number, which: 'up' | 'down'): void
  /** Swallows what comes from now on, on the open connections. Default both ways. */
  blackHole(which?: Directions): void
  /** Ends one direction of the open connections (FIN); the other one goes on. */
  halfClose(which: 'up' | 'down'): void
  /** Changes rules from now on. */
  set(rules: Partial<PipeRules>): void
  /** Resets everything and stops listening. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const chance = (value: unknown) => typeof value === 'number' && value >= 0 && value <= 1
const amount = (value: unknown) => typeof value === 'number' && value >= 0 && value < 2 ** 31
const RULES: Record<string, OptionRule> = {
  port: { test: value => amount(value) && value !== 0, wants: 'the port of the server', fix: 'port: 3001' },
  seed: { test: Number.isSafeInteger, wants: 'a whole number', fix: 'seed: 1' },
  delay: { test: amount, wants: 'milliseconds', fix: 'delay: 20' },
  split: { test: chance, wants: 'a probability from 0 to 1', fix: 'split: 0.5' },
  merge: { test: amount, wants: 'milliseconds', fix: 'merge: 10' },
  bytesPerSecond: {
    test: value => value === Number.POSITIVE_INFINITY || (amount(value) && value !== 0),
    wants: 'bytes above 0',
    fix: 'bytesPerSecond: 64_000',
  },
}

/**
 * Starts a proxy before a server on this machine that does to TCP connections what networks do.
 *
 * In real time. What it draws at random follows from the seed, but how the system cuts a stream into
 * chunks does not: a replay gives the same faults only as far as the chunks are the same.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const proxy = await faultProxy({ port: app.address().port, seed: 7, split: 0.5 })
 * const client = createClient({ url: `ws://127.0.0.1:${proxy.port}` })
 * proxy.cutAfter(10, 'down')
 */
export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  checkOptions('faultProxy', { ...options, port: options?.port ?? null }, RULES)
  const { port: target, seed = 1, ...given } = options
  let rules: PipeRules = { delay: 0, split: 0, merge: 0, bytesPerSecond: Number.POSITIVE_INFINITY, ...given }
  const log = new FaultLog()
  const connections = new Set<Connection>()
  let count = 0
  const server = createServer({ allowHalfOpen: true }, client => {
    const number = ++count
    log.opened()
    const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    const pipe = (from: Socket, to: Socket, direction: number) =>
      new ProxyPipe(
        from,
        to,
        () => rules,
        seededRandom(seed, number, direction),
        () => {
          log.add(number, 'cut', `${direction === 0 ? 'up' : 'down'}, mid-way`)
          drop()
        },
      )
    const connection: Connection = {
      number,
      up: pipe(client, upstream, 0),
      down: pipe(upstream, client, 1),
      drop: () => drop(),
    }
    const drop = (): void => {
      connections.delete(connection)
      connection.up.end()
      connection.down.end()
      client.resetAndDestroy()
      // One that is still connecting has nothing to reset.
      if (upstream.connecting) upstream.destroy()
      else upstream.resetAndDestroy()
    }
    connections.add(connection)
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.on('error', drop)
      socket.on('close', () => {
        if (client.destroyed && upstream.destroyed) connections.delete(connection)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const each = (what: string, detail: string, body: (connection: Connection) => void): void => {
    for (const connection of [...connections]) {
      log.add(connection.number, what, detail)
      body(connection)
    }
  }
  let closed: Promise<unknown> | undefined

  const proxy: FaultProxy = {
    port,
    log,
    get open() {
      return connections.size
    },
    cut: () => each('cut', '', ({ drop }) => drop()),
    cutAfter: (bytes, which) =>
      each('cut after', `${which} ${bytes} B`, connection => connection[which].cutAfter(bytes)),
    blackHole(which = 'both') {
      each('black hole', which, connection => {
        for (const direction of directionsOf(which)) connection[direction].hole = true
      })
    },
    halfClose: which => each('half close', which, connection => connection[which].finish()),
    set(more) {
      checkOptions('faultProxy.set', more, RULES)
      rules = { ...rules, ...more }
    },
    async close() {
      closed ??= new Promise(resolve => server.close(resolve))
      for (const { drop } of [...connections]) drop()
      await closed
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  }
  return proxy
}

interface Connection {
  readonly number: number
  readonly up: ProxyPipe
  readonly down: ProxyPipe
  drop(): void
}
