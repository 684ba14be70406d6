import { mkdirSync } from 'node:fs'
import { open, type RootDatabase } from 'lmdb'
import { checkOptions, unavailable } from './checks.js'
import type { Engine } from './engine.js'
import { LmdbKeyValue } from './lmdb-key-value.js'

/** Options of `lmdb`. */
export interface LmdbOptions {
  /** The folder for the data; made when it is not there. */
  readonly path: string
  /** Bytes of address space to take at first, a multiple of 4,096. It grows by itself. Default: LMDB's. */
  readonly mapSize?: number
  /** Milliseconds after which a call fails. Default 5,000. */
  readonly deadline?: number
}

/**
 * An engine on the disk of this machine, by LMDB; needs the package `lmdb`.
 *
 * A write is on the disk when its promise resolves: it survives the end of the process and of the power.
 * Writes of one turn of the event loop share one sync. A write that fails by the deadline may have taken
 * effect, unless it had not begun; then it never will.
 *
 * Several processes of one machine may open the same folder. All conditions hold between them, as LMDB
 * lets one write at a time; each sees the others' writes once they have resolved. Their clocks are one.
 * Within a process make one engine per folder. A folder on a network file system may be opened by one
 * process only.
 *
 * @throws SocketStreamError `INVALID_OPTION`; `ENGINE_UNAVAILABLE` when the folder cannot be opened
 * @example const { kv } = lmdb({ path: './data' })
 */
export function lmdb(options: LmdbOptions): Engine {
  checkOptions('lmdb', options ?? {}, RULES)
  const { path, mapSize, deadline = 5000 } = options
  let root: RootDatabase
  let kv: LmdbKeyValue
  try {
    mkdirSync(path, { recursive: true })
    // Without overlapping syncs a commit includes its sync, and a promise resolves after the commit. With
    // them, which is LMDB's default here, it would resolve before the disk has the data.
    root = open({ path, noSubdir: false, overlappingSync: false, ...(mapSize && { mapSize }) })
    kv = new LmdbKeyValue(root, deadline)
  } catch (cause) {
    throw unavailable(`lmdb: cannot open the folder '${path}'; see the cause`, cause)
  }
  let closing: Promise<void> | undefined
  return {
    name: 'lmdb',
    kv,
    close: () => (closing ??= kv.close()),
  }
}

const RULES = {
  path: {
    test: (value: unknown) => typeof value === 'string' && value !== '' && !value.includes('\0'),
    wants: 'the path of a folder',
    fix: "path: './data'",
  },
  mapSize: {
    test: (value: unknown) => value === undefined || isWhole(value, 2 ** 46, 4096),
    wants: 'a number of bytes, a multiple of 4096',
    fix: 'mapSize: 2 ** 30',
  },
  deadline: {
    test: (value: unknown) => value === undefined || isWhole(value, 2 ** 31 - 1),
    wants: 'a whole number of milliseconds, at least 1',
    fix: 'deadline: 5000',
  },
}

function isWhole(value: unknown, most: number, step = 1): boolean {
  return (
    Number.isSafeInteger(value) &&
    (value as number) > 0 &&
    (value as number) <= most &&
    (value as number) % step === 0
  )
}
