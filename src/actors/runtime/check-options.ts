import { SocketStreamError } from '../../errors.js'
import type { SpawnOptions } from './behaviour.js'
import type { PersistOptions } from './persistence.js'

const OVERFLOWS = ['reject', 'drop-oldest', 'latest-by-key', 'backpressure']
const ON_CRASH = ['resume', 'restart', 'restart-from-snapshot', 'stop', 'escalate']

/** Checks what was given to `spawn`. @throws SocketStreamError `INVALID_OPTION`, with the fix */
export function checkSpawnOptions(options: SpawnOptions): void {
  const { capacity = 0, bytes = 0, concurrency = 1, overflow = 'reject', onCrash = 'stop' } = options
  if (!(capacity >= 0)) throw invalid('`capacity` must be a number of messages', 'capacity: 1000')
  if (!(bytes >= 0)) throw invalid('`bytes` must be a number', 'bytes: 1_000_000')
  if (!(concurrency >= 1)) throw invalid('`concurrency` must be at least 1', 'concurrency: 4')
  if (options.bytes !== undefined && options.size === undefined)
    throw invalid('`bytes` needs `size`', 'size: message => message.data.length')
  if (!OVERFLOWS.includes(overflow)) throw invalid('`overflow` is unknown', `one of ${OVERFLOWS.join(', ')}`)
  if (overflow === 'latest-by-key' && options.key === undefined)
    throw invalid('`latest-by-key` needs `key`', 'key: message => message.id')
  if (!ON_CRASH.includes(onCrash)) throw invalid('`onCrash` is unknown', `one of ${ON_CRASH.join(', ')}`)
  const { persist } = options
  if (onCrash === 'restart-from-snapshot' && persist === undefined)
    throw invalid('`onCrash` needs saved states', 'persist: {}')
  if (persist === undefined) return
  if (options.onCrash === 'resume')
    throw invalid('`resume` would go on with a state that is not saved', "onCrash: 'restart-from-snapshot'")
  checkPersist(persist, concurrency)
}

function checkPersist(persist: PersistOptions, concurrency: number): void {
  if (persist === null || typeof persist !== 'object')
    throw invalid('`persist` must be an object', 'persist: {}')
  const { key = 'x', every = 1, on = [], version = 1, fence = 0, migrate = () => {} } = persist
  if (concurrency !== 1) throw invalid('`persist` handles one message at a time', 'no `concurrency`')
  if (typeof key !== 'string' || key === '') throw invalid('`persist.key` must be a text', "key: 'order-1'")
  if (!Number.isSafeInteger(every) || every < 1)
    throw invalid('`persist.every` must be a positive whole number', 'every: 10')
  if (!Array.isArray(on)) throw invalid('`persist.on` must be a list of types', "on: ['paid']")
  if (!Number.isSafeInteger(version)) throw invalid('`persist.version` must be a whole number', 'version: 2')
  if (!Number.isSafeInteger(fence) || fence < 0)
    throw invalid('`persist.fence` must be the token of a lease', 'fence: lease.token')
  if (typeof migrate !== 'function')
    throw invalid('`persist.migrate` must be a function', 'migrate: (saved, version) => saved')
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
