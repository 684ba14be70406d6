import { mkdirSync } from 'node:fs'
import { open } from 'lmdb'
import { checkOptions, isWhole, unavailable } from './checks.js'
import { CLOCK_RULE, type EngineClock, systemClock } from './clock.js'
import type { Engine } from './engine.js'
import { Events } from './events.js'
import { LmdbKeyValue } from './lmdb-key-value.js'
import { LmdbLog } from './lmdb-log.js'
import { LmdbRecords } from './lmdb-records.js'
import { LmdbStore } from './lmdb-store.js'
import { LocalBus } from './local-bus.js'
import { LocalOccupancy } from './local-occupancy.js'
import { LocalPresence } from './local-presence.js'
import { RecordLeases } from './record-leases.js'
import { RecordLimiter } from './record-limiter.js'
import { Sweep } from './sweep.js'

/** Options of `lmdb`. */
export interface LmdbOptions {
  /** The folder for the data; made when it is not there. */
  readonly path: string
  /** Bytes of address space to take at first, a multiple of 4,096. It grows by itself. Default: LMDB's. */
  readonly mapSize?: number
  /** Milliseconds after which a call fails. Default 5,000. */
  readonly deadline?: number
  /** The time that everything but deadlines goes by, for tests. Default the system's. */
  readonly clock?: EngineClock
}

/** Members of all channels together, and places taken. */
const MEMBERS = 1_000_000

/**
 * An engine on the disk of this machine, by LMDB; needs the package `lmdb`.
 *
 * A write is on the disk when its promise resolves: it survives the end of the process and of the power.
 * Writes of one turn of the event loop share one sync. A write that fails by the deadline may have taken
 * effect, unless it had not begun; then it never will. Presence, occupancy and bus are within this process.
 *
 * Several processes of one machine may open the same folder. All conditions hold between them, as LMDB
 * lets one write at a time; each sees the others' writes once they have resolved, and hears what they publish
 * within a second. Their clocks are one. Within a process make one engine per folder. A folder on a network
 * file system may be opened by one process only.
 *
 * @throws SocketStreamError `INVALID_OPTION`; `ENGINE_UNAVAILABLE` when the folder cannot be opened
 * @example const { kv, log } = lmdb({ path: './data' })
 */
export function lmdb(options: LmdbOptions): Required<Engine> {
  checkOptions('lmdb', options ?? {}, RULES)
  const { clock = systemClock } = options
  const events = new Events()
  const sweep = new Sweep(clock)
  const now = () => clock.now()
  const { store, log, ...parts } = openParts(options, now, sweep, events)
  const presence = new LocalPresence(now, MEMBERS, sweep, events)
  const occupancy = new LocalOccupancy(MEMBERS)
  const bus = new LocalBus(events)
  const close = async () => {
    sweep.stop()
    for (const part of [presence, occupancy, bus]) part.close()
    try {
      await store.close(log.lastWrite())
    } finally {
      for (const part of [log, events]) part.close()
    }
  }
  let closing: Promise<void> | undefined
  const own = { log, presence, occupancy, bus }
  return { name: 'lmdb', ...parts, ...own, on: events.on, close: () => (closing ??= close()) }
}

function openParts(
  { path, mapSize, deadline = 5000 }: LmdbOptions,
  now: () => number,
  sweep: Sweep,
  events: Events,
) {
  try {
    mkdirSync(path, { recursive: true })
    // Without overlapping syncs a commit includes its sync, and a promise resolves after the commit. With
    // them, which is LMDB's default here, it would resolve before the disk has the data.
    const options = { path, noSubdir: false, overlappingSync: false, maxDbs: 32, ...(mapSize && { mapSize }) }
    const store = new LmdbStore(open(options), deadline, now, events)
    return {
      store,
      kv: new LmdbKeyValue(store),
      log: new LmdbLog(store, sweep, events),
      lease: new RecordLeases(new LmdbRecords(store, 'leases')),
      limiter: new RecordLimiter(new LmdbRecords(store, 'limits')),
    }
  } catch (cause) {
    throw unavailable(`lmdb: cannot open the folder '${path}'; see the cause`, cause)
  }
}

const RULES = {
  path: {
    test: (value: unknown) => typeof value === 'string' && value !== '' && !value.includes('\0'),
    wants: 'the path of a folder',
    fix: "path: './data'",
  },
  mapSize: {
    test: (value: unknown) =>
      value === undefined || (isWhole(value, 1, 2 ** 46) && (value as number) % 4096 === 0),
    wants: 'a number of bytes, a multiple of 4096',
    fix: 'mapSize: 2 ** 30',
  },
  deadline: {
    test: (value: unknown) => value === undefined || isWhole(value, 1, 2 ** 31 - 1),
    wants: 'a whole number of milliseconds, at least 1',
    fix: 'deadline: 5000',
  },
  clock: CLOCK_RULE,
}
