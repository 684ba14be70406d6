import { SocketStreamError } from '../../errors.js'
import type { SpawnOptions } from './behaviour.js'

const OVERFLOWS = ['reject', 'drop-oldest', 'latest-by-key', 'backpressure']
const ON_CRASH = ['resume', 'restart', 'stop', 'escalate']

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
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
