import type { BrokerConnection } from '../actors/connection.js'
import type { ActorRef } from '../actors/runtime/index.js'
import type { ActorMemory } from './protocol/index.js'
import { connectionOf, type Subject, sessionFor } from './source.js'

/** Bytes that an actor is known to hold, of those that are counted anyway; undefined where nothing is. */
export function bytesOf(subject: Subject, ref: ActorRef<never>): number | undefined {
  return sumOf(countedParts(subject, ref))
}

/**
 * What is known of an actor's memory.
 *
 * Counted are payloads and frames; what objects take on the heap besides nobody knows.
 */
export function actorMemory(subject: Subject, ref: ActorRef<never>): ActorMemory | undefined {
  const counted = countedParts(subject, ref)
  const session = sessionFor(subject, ref)
  const parts = { ...counted, ...(session && { data: jsonBytes(session.data) }) }
  if (Object.keys(parts).length === 0) return undefined
  return { bytes: sumOf(counted) ?? 0, parts }
}

function countedParts(subject: Subject, ref: ActorRef<never>): ActorMemory['parts'] {
  const { mailboxBytes } = ref.facts()
  const connection = connectionOf(subject, ref)
  return {
    ...(mailboxBytes !== undefined && { mailbox: mailboxBytes }),
    ...(connection && connectionParts(connection)),
  }
}

function connectionParts({ attachment, resumption }: BrokerConnection): ActorMemory['parts'] {
  return {
    queued: attachment.link.bufferedBytes,
    held: attachment.intake.bytes,
    ...(resumption && { resume: resumption.bytes }),
  }
}

function sumOf(parts: ActorMemory['parts']): number | undefined {
  const sizes = Object.values(parts)
  return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0)
}

function jsonBytes(data: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(data) ?? '')
  } catch {
    // Changed by its owner into something that no store would take either.
    return 0
  }
}
