import type { ActorRef } from '../actors/runtime/index.js'
import { actorMemory } from './actor-memory.js'
import { actorRow } from './actor-rows.js'
import { connectionRow } from './connection-rows.js'
import type { Memory } from './memory.js'
import type { ActorDetail, Json } from './protocol/index.js'
import { connectionOf, pathOf, type Subject } from './source.js'
import { statechart } from './statechart.js'

/** Children that are named. */
const CHILDREN = 100
const LIFECYCLE = 50

/** One actor in full. */
export function actorDetail(subject: Subject, memory: Memory, ref: ActorRef<never>): ActorDetail {
  const path = pathOf(ref)
  const { watchers, subscribers, capacity } = ref.facts()
  const connection = connectionOf(subject, ref)
  const held = actorMemory(subject, ref)
  const chart = statechart(ref, subject.redact)
  const last = memory.lastChange(path)
  const parent = path === '/' ? undefined : path.slice(0, path.lastIndexOf('/')) || '/'
  const snapshot = chart === undefined ? snapshotOf(subject, ref) : undefined
  const childPaths: string[] = []
  for (const child of ref.children.values()) {
    if (childPaths.push(child.path) === CHILDREN) break
  }
  return {
    ...actorRow(subject, memory, ref),
    ...(parent !== undefined && { parent }),
    watchers,
    subscribers,
    childPaths,
    ...(snapshot !== undefined && { snapshot }),
    ...(held && { memory: held }),
    ...(chart && { statechart: { ...chart, ...(last && { last }) } }),
    ...(connection && { connection: connectionRow(connection) }),
    events: memory.eventsOf(path),
    lifecycle: memory.lifecycleOf(path, LIFECYCLE),
    // JSON knows no larger number.
    capacity: Math.min(capacity, Number.MAX_SAFE_INTEGER),
  }
}

function snapshotOf({ redact }: Subject, ref: ActorRef<never>): Json | undefined {
  try {
    const snapshot: unknown = ref.getSnapshot()
    return snapshot === undefined ? undefined : redact(snapshot)
  } catch (error) {
    return redact(error)
  }
}
