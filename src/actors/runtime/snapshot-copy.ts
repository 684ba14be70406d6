import { type AnyActorLogic, createActor, type Snapshot } from 'xstate'
import { SocketStreamError } from '../../errors.js'
import { packr } from './persistence.js'

/**
 * A snapshot of some logic as bytes, for another process with the same logic.
 *
 * @throws SocketStreamError `UNENCODABLE` for what `persist` could not save either
 */
export function packSnapshot(logic: AnyActorLogic, snapshot: unknown): Uint8Array {
  try {
    return packr.pack(logic.getPersistedSnapshot(snapshot as Snapshot<unknown>))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SocketStreamError('UNENCODABLE', `the snapshot cannot be sent to other servers: ${why}`, {
      cause,
    })
  }
}

/** That snapshot, as if the logic had come to it here: nothing runs, its children are not started. */
export function unpackSnapshot(logic: AnyActorLogic, bytes: Uint8Array): unknown {
  const snapshot = packr.unpack(bytes) as Snapshot<unknown>
  // What belongs to its machine, such as `matches`, it gets from an actor.
  return createActor(logic, { snapshot, input: undefined }).getSnapshot()
}
