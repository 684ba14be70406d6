import type { ClientTransport } from '../client/transport.js'
import { SocketStreamError } from '../errors.js'
import { checkOptions, type OptionRule } from '../transports/option-checks.js'
import type { Transport } from '../transports/transport.js'
import { faultyClient } from './fault-client.js'
import { type Directions, directionsOf, FaultLog } from './fault-log.js'
import { faultyServer } from './fault-server.js'
import { type Delay, type FaultChances, type FaultRules, FaultWire, type WireEnd } from './fault-wire.js'

/** Options of `faultLink`. */
export interface FaultLinkOptions extends FaultChances {
  /** The same seed and traffic: the same faults. Default 1. */
  readonly seed?: number
  /** Milliseconds that a frame takes, each way; order is kept. Default 0: it arrives at once. */
  readonly delay?: Delay
}

/** What lies between clients and servers, and does to their links what networks do; see `faultLink`. */
export interface FaultLink {
  /** What was done, in order. `String(log)` is a line for each. */
  readonly log: FaultLog
  /** Links opened and not yet over. */
  readonly open: number
  /** The client's end of a transport, with the faults. */
  client(transport: ClientTransport): ClientTransport
  /** The server's end of a transport, with the faults. Use either, not both. */
  server(transport: Transport): Transport
  /** Breaks the open links: both ends are told, what is under way is lost. */
  cut(): void
  /** Of the open links nothing arrives any more, and nobody is told. Default both ways. */
  blackHole(which?: Directions): void
  /**
   * Ends one direction of the open links: the end that reads there is told that the link broke, the
   * other one goes on believing in it, and is not heard.
   */
  halfClose(which: 'up' | 'down'): void
  /** Has clients lose their links while the server still holds them: a new link meets the old one half open. */
  takeOver(): void
  /** Sets how long frames take from now on. Default both ways. */
  delay(ms: Delay, which?: Directions): void
  /** Sets what happens at random from now on; without chances nothing does. */
  chances(chances?: FaultChances): void
  /** Breaks every link at either end, held ones too. Idempotent; new links may come. */
  close(): void
}

const chance: Omit<OptionRule, 'fix'> = {
  test: value => typeof value === 'number' && value >= 0 && value <= 1,
  wants: 'a probability from 0 to 1',
}
const RULES: Record<string, OptionRule> = {
  seed: { test: Number.isSafeInteger, wants: 'a whole number', fix: 'seed: 1' },
  delay: { test: isDelay, wants: 'milliseconds, or [from, to]', fix: 'delay: [5, 50]' },
  cut: { ...chance, fix: 'cut: 0.01' },
  blackHole: { ...chance, fix: 'blackHole: 0.01' },
  halfClose: { ...chance, fix: 'halfClose: 0.01' },
}

/**
 * Makes faults for the links of a transport: by script, and at random by seed.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example
 * const faults = faultLink({ seed: 7, delay: [5, 50], cut: 0.01 })
 * const client = await kit.connect({ faults })
 * faults.blackHole('down')
 */
export function faultLink(options: FaultLinkOptions = {}): FaultLink {
  checkOptions('faultLink', options, RULES)
  const { seed = 1, delay = 0 } = options
  const log = new FaultLog()
  let rules: FaultRules = { ...options, seed, delay: { up: delay, down: delay } }
  let opened = 0
  const wires = new Map<FaultWire, () => void>()

  /** A new link between two ends; `release` drops what is held of it. */
  const join = (up: WireEnd, down: WireEnd, release: () => void): FaultWire => {
    log.opened()
    const wire = new FaultWire(++opened, () => rules, log, { up, down })
    wires.set(wire, release)
    return wire
  }
  const each = (body: (wire: FaultWire) => void): void => {
    for (const wire of wires.keys()) if (!wire.over) body(wire)
  }
  const lane = { join, left: (wire: FaultWire) => void wires.delete(wire) }

  return {
    log,
    get open() {
      return [...wires.keys()].filter(wire => !wire.over).length
    },
    client: transport => faultyClient(transport, lane),
    server: transport => faultyServer(transport, lane),
    cut: () => each(wire => wire.cut()),
    blackHole(which = 'both') {
      each(wire => {
        for (const direction of directionsOf(which)) wire.blackHole(direction)
      })
    },
    halfClose: which => each(wire => wire.halfClose(which)),
    takeOver: () => each(wire => wire.halfClose('down', 'taken over')),
    delay(ms, which = 'both') {
      if (!isDelay(ms)) {
        throw new SocketStreamError('INVALID_OPTION', 'delay() takes milliseconds, or [from, to] of them')
      }
      const set = Object.fromEntries(directionsOf(which).map(direction => [direction, ms]))
      rules = { ...rules, delay: { ...rules.delay, ...set } }
    },
    chances(chances = {}) {
      checkOptions('faultLink.chances', chances, RULES)
      rules = { ...chances, seed, delay: rules.delay }
    },
    close() {
      for (const [wire, release] of wires) {
        wire.cut('closed')
        release()
      }
      wires.clear()
    },
  }
}

function isDelay(value: unknown): boolean {
  const [from, to] = Array.isArray(value) && value.length === 2 ? value : [value, value]
  return Number.isFinite(from) && Number.isFinite(to) && from >= 0 && to >= from
}
