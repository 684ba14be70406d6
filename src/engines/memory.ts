import { checkOptions, isWhole } from './checks.js'
import { CLOCK_RULE, type EngineClock, systemClock } from './clock.js'
import type { Engine } from './engine.js'
import { Events } from './events.js'
import { LocalBus } from './local-bus.js'
import { LocalOccupancy } from './local-occupancy.js'
import { LocalPresence } from './local-presence.js'
import { MemoryKeyValue } from './memory-key-value.js'
import { MemoryLog } from './memory-log.js'
import { MemoryRecords } from './memory-records.js'
import { RecordLeases } from './record-leases.js'
import { RecordLimiter } from './record-limiter.js'
import { Sweep } from './sweep.js'

/** Options of `memory`. */
export interface MemoryOptions {
  /** The time that everything goes by, for tests. Default the system's. */
  readonly clock?: EngineClock
  /** Bytes in the key-value store, with 200 for each entry; past it `set` is refused. Default 256 MiB. */
  readonly kvBytes?: number
  /** Channels of the log; past it the least recently used without subscribers goes. Default 100,000. */
  readonly channels?: number
  /** Bytes in the log, with 200 for each entry; past it the oldest go. Default 256 MiB. */
  readonly logBytes?: number
  /** Members present, places taken, leases and limited keys, so many of each; past it they are refused. Default 1,000,000. */
  readonly items?: number
}

/**
 * An engine in the memory of this process: for one server alone, for tests, for state that may end with it.
 *
 * It has every capability, each with a bound. Nothing is kept past `close`, and no other process sees it.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example const { kv, log } = memory()
 */
export function memory(options: MemoryOptions = {}): Required<Engine> {
  checkOptions('memory', options, RULES)
  const {
    clock = systemClock,
    kvBytes = 2 ** 28,
    channels = 100_000,
    logBytes = 2 ** 28,
    items = 1e6,
  } = options
  const now = () => clock.now()
  const events = new Events()
  const sweep = new Sweep(clock)
  const kv = new MemoryKeyValue(now, kvBytes)
  const log = new MemoryLog(now, { channels, bytes: logBytes }, sweep, events)
  const presence = new LocalPresence(now, items, sweep, events)
  const occupancy = new LocalOccupancy(items)
  const leases = new MemoryRecords(now, items)
  const limits = new MemoryRecords(now, items)
  const bus = new LocalBus(events)
  return {
    name: 'memory',
    kv,
    log,
    presence,
    occupancy,
    lease: new RecordLeases(leases),
    bus,
    limiter: new RecordLimiter(limits),
    on: events.on,
    async close() {
      sweep.stop()
      for (const part of [kv, log, presence, occupancy, leases, limits, bus, events]) part.close()
    },
  }
}

function count(fix: string) {
  return {
    test: (value: unknown) => value === undefined || isWhole(value, 1),
    wants: 'a whole number, at least 1',
    fix,
  }
}

const RULES = {
  clock: CLOCK_RULE,
  kvBytes: count('kvBytes: 2 ** 28'),
  channels: count('channels: 100_000'),
  logBytes: count('logBytes: 2 ** 28'),
  items: count('items: 1_000_000'),
}
