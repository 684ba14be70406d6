import type { ActorRef } from '../actors/runtime/index.js'
import type { Statechart, StateNode } from './protocol/index.js'
import type { Redactor } from './redact.js'

/** What is read of XState's snapshots and machines; all of it may be missing. */
interface MachineSnapshot {
  readonly status?: unknown
  readonly value?: unknown
  readonly context?: unknown
  readonly machine?: { readonly id?: string; readonly root?: Node }
  readonly _nodes?: readonly Node[]
}

interface Node {
  readonly id: string
  readonly key: string
  readonly type: StateNode['type']
  readonly description?: string
  readonly tags?: readonly string[]
  readonly initial?: { readonly target?: readonly Node[] }
  readonly states?: Readonly<Record<string, Node>>
  readonly transitions?: ReadonlyMap<string, readonly Transition[]>
  readonly always?: readonly Transition[]
  readonly entry?: readonly unknown[]
  readonly exit?: readonly unknown[]
  readonly invoke?: readonly { readonly src?: unknown; readonly id?: string }[]
}

interface Transition {
  readonly eventType?: string
  readonly target?: readonly Node[]
  readonly guard?: unknown
  readonly actions?: readonly unknown[]
}

/** State nodes of one chart that are shown. */
const MOST_NODES = 500
/** Characters of a state in one line. */
const LINE = 120

/** The state of a machine in one line; undefined where there is none. */
export function stateLine(ref: ActorRef<never>): string | undefined {
  const { value, status } = snapshotOf(ref) ?? {}
  if (value === undefined) return typeof status === 'string' ? status : undefined
  return lineOf(value).slice(0, LINE)
}

/** The names of active states: `paying.card`, and of parallel ones each. */
function lineOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([key, inner]) => {
      const below = lineOf(inner)
      if (below === '') return key
      return typeof inner === 'object' && Object.keys(inner as object).length > 1
        ? `${key}(${below})`
        : `${key}.${below}`
    })
    .join(', ')
}

/** The chart of an actor that runs a machine; undefined of others. */
export function statechart(ref: ActorRef<never>, redact: Redactor): Statechart | undefined {
  const snapshot = snapshotOf(ref)
  const { machine } = snapshot ?? {}
  if (machine?.root === undefined) return undefined
  const status = String(snapshot?.status ?? 'active') as Statechart['status']
  const left = { nodes: MOST_NODES }
  return {
    id: machine.id ?? machine.root.id,
    root: node(machine.root, left),
    active: activeOf(ref),
    context: redact(snapshot?.context),
    status,
  }
}

/** Ids of the states that a machine is in, parents among them. */
export function activeOf(ref: ActorRef<never>): readonly string[] {
  return (snapshotOf(ref)?._nodes ?? []).map(({ id }) => id)
}

/** What an actor shows; what its own code throws is nobody's business here. */
function snapshotOf(ref: ActorRef<never>): MachineSnapshot | undefined {
  try {
    const snapshot: unknown = ref.getSnapshot()
    return typeof snapshot === 'object' && snapshot !== null ? snapshot : undefined
  } catch {
    return undefined
  }
}

function node(from: Node, left: { nodes: number }): StateNode {
  left.nodes--
  const initial = from.initial?.target?.[0]?.id
  const children = Object.values(from.states ?? {})
  const transitions = [...(from.transitions?.values() ?? [])].flat()
  return {
    id: from.id,
    key: from.key,
    type: from.type,
    ...(initial !== undefined && { initial }),
    ...(typeof from.description === 'string' && { description: from.description }),
    tags: from.tags ?? [],
    entry: (from.entry ?? []).flatMap(writtenName),
    exit: (from.exit ?? []).flatMap(writtenName),
    invoke: (from.invoke ?? []).map(({ src, id }) => (typeof src === 'string' ? src : (id ?? 'inline'))),
    states: children.flatMap(child => (left.nodes > 0 ? [node(child, left)] : [])),
    transitions: [...transitions, ...(from.always ?? [])].map(transition => ({
      event: eventOf(transition.eventType ?? ''),
      targets: (transition.target ?? []).map(({ id }) => id),
      ...(transition.guard !== undefined && { guard: nameOf(transition.guard) }),
      actions: (transition.actions ?? []).map(nameOf),
    })),
  }
}

/** What an event is called: XState's own have names that nobody wrote. */
function eventOf(type: string): string {
  if (type === '') return 'always'
  const after = /^xstate\.after\.(.+?)\./.exec(type)
  if (after !== null) return `after ${after[1]}`
  if (type.startsWith('xstate.done.')) return 'done'
  return type.startsWith('xstate.error.') ? 'error' : type
}

/** Of an action that XState has put there for a delayed transition nothing. */
function writtenName(action: unknown): string[] {
  const { type } = action as { readonly type?: unknown }
  return type === 'xstate.raise' || type === 'xstate.cancel' ? [] : [nameOf(action)]
}

function nameOf(what: unknown): string {
  if (typeof what === 'string') return what
  if (typeof what === 'function') return what.name || 'inline'
  const { type } = (what ?? {}) as { readonly type?: unknown }
  return typeof type === 'string' ? type : 'inline'
}
