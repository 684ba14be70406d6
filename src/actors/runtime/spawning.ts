import type { AnyActorLogic, EventFromLogic, InputFrom } from 'xstate'
import { SocketStreamError } from '../../errors.js'
import type { Behaviour, SpawnOptions } from './behaviour.js'
import { checkSpawnOptions } from './check-options.js'
import { logicBehaviour } from './logic-behaviour.js'
import { Persistence, type PersistOptions } from './persistence.js'
import type { OnCrash } from './supervision.js'
import type { ActorSystem } from './system.js'

/** Options of an actor that runs XState logic. */
export type LogicOptions<Logic extends AnyActorLogic> = SpawnOptions<EventFromLogic<Logic>> & {
  /** What XState calls input: for the logic's first snapshot, also after a restart. */
  readonly input?: InputFrom<Logic>
  /** As of every actor, but XState logic that has failed cannot resume. Default `restart`. */
  readonly onCrash?: Exclude<OnCrash, 'resume'>
}

/**
 * The behaviour and settings of what was given to `spawn`.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function understand(
  system: ActorSystem,
  name: string,
  what: object,
  options: (SpawnOptions & { input?: unknown }) | undefined,
): [Behaviour<never, never>, SpawnOptions | undefined] {
  if (options !== undefined) checkSpawnOptions(options)
  const saves = options?.persist !== undefined
  if (typeof (what as { receive?: unknown } | null)?.receive === 'function') {
    const behaviour = what as Behaviour<never, never>
    if (saves && (typeof behaviour.save !== 'function' || typeof behaviour.restore !== 'function'))
      throw invalid(`"${name}" has no save(state) and restore(saved), which \`persist\` needs`)
    return [behaviour, options]
  }
  if (typeof (what as { transition?: unknown } | null)?.transition !== 'function') {
    throw invalid(`"${name}" must be a behaviour { receive } or XState logic`)
  }
  // Not kept with the options, so that it goes with the behaviour.
  const { input, ...settings } = options ?? {}
  const behaviour = logicBehaviour(what as AnyActorLogic, input, system)
  const onCrash = saves ? 'restart-from-snapshot' : 'restart'
  return [behaviour as unknown as Behaviour<never, never>, { onCrash, ...settings }]
}

/** Bytes of the longest key that engines take. */
const MAX_KEY = 512

/** The saved state of an actor. @throws SocketStreamError `INVALID_OPTION` when there is no store */
export function persistenceOf(system: ActorSystem, path: string, options: PersistOptions): Persistence {
  const store = options.store ?? system.store
  if (store === undefined)
    throw invalid(
      `there is no store for the state of ${path}; give new ActorSystem({ store }) or persist.store`,
    )
  const key = options.key ?? path
  if (Buffer.byteLength(key) > MAX_KEY)
    throw invalid(`the key "${key.slice(0, 40)}…" has more than ${MAX_KEY} bytes; give a shorter persist.key`)
  return new Persistence(store, key, options, system.saves)
}

/** The error for a wrong option. */
export function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', message)
}
