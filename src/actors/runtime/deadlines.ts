import type { Actor, AnyActorLogic, AnyActorRef, EventObject } from 'xstate'

type XStateSystem = Actor<AnyActorLogic>['system']

/** A delayed event as data: XState's own snapshots leave them out. */
export interface Deadline {
  readonly id: string
  /** Ids of the actors below the root that lead to who sent it, and to whom it is for. */
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly event: EventObject
  /** Milliseconds since 1970. */
  readonly at: number
}

/** The delayed events of one XState system, with the time they are due at. */
export class Deadlines {
  /** When each scheduled event is due; known from when it is set. */
  readonly #due = new WeakMap<object, number>()
  readonly #date: () => number

  /** @param date milliseconds since 1970 */
  constructor(date: () => number) {
    this.#date = date
  }

  /** Notes what has been scheduled and is not known yet. */
  note(system: XStateSystem): void {
    for (const scheduled of Object.values(system.getSnapshot()._scheduledEvents)) {
      if (!this.#due.has(scheduled)) this.#due.set(scheduled, this.#date() + scheduled.delay)
    }
  }

  /** All that is pending, as data. What is for actors elsewhere is left out. */
  collect(root: Actor<AnyActorLogic>): Deadline[] {
    this.note(root.system)
    const paths = pathsBelow(root)
    const deadlines: Deadline[] = []
    for (const scheduled of Object.values(root.system.getSnapshot()._scheduledEvents)) {
      const [from, to] = [paths.get(scheduled.source), paths.get(scheduled.target)]
      if (from === undefined || to === undefined) continue
      const { id, event } = scheduled
      deadlines.push({ id, from, to, event, at: this.#due.get(scheduled)! })
    }
    return deadlines
  }

  /** Sets what was pending; what is overdue comes at once, in the order it was due. */
  arm(root: Actor<AnyActorLogic>, deadlines: readonly Deadline[]): void {
    const { scheduler } = root.system
    for (const { id, from, to, event, at } of [...deadlines].sort((a, b) => a.at - b.at)) {
      const [source, target] = [follow(root, from), follow(root, to)]
      if (source === undefined || target === undefined) continue
      scheduler.schedule(source, target, event, Math.max(0, at - this.#date()), id)
    }
    this.note(root.system)
  }
}

function childrenOf(ref: AnyActorRef): Record<string, AnyActorRef | undefined> {
  return (ref.getSnapshot() as { children?: Record<string, AnyActorRef> } | undefined)?.children ?? {}
}

function pathsBelow(root: AnyActorRef): Map<AnyActorRef, string[]> {
  const paths = new Map<AnyActorRef, string[]>([[root, []]])
  for (const [ref, path] of paths) {
    for (const [id, child] of Object.entries(childrenOf(ref))) {
      if (child !== undefined && !paths.has(child)) paths.set(child, [...path, id])
    }
  }
  return paths
}

function follow(root: AnyActorRef, path: readonly string[]): AnyActorRef | undefined {
  let ref: AnyActorRef | undefined = root
  for (const id of path) ref = ref === undefined ? undefined : childrenOf(ref)[id]
  return ref
}
