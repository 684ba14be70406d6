import type { Json } from './json.js'

/** A machine: its states as a tree, with what is active. */
export interface Statechart {
  readonly id: string
  readonly root: StateNode
  /** Ids of the active states, parents among them. */
  readonly active: readonly string[]
  readonly context: Json
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  /** The last change that was seen; only while a `trace` taps it. */
  readonly last?: {
    readonly at: number
    readonly event: string
    readonly from: readonly string[]
    readonly to: readonly string[]
  }
}

export interface StateNode {
  /** Unique in the machine, such as `order.paying.card`. */
  readonly id: string
  readonly key: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  /** Id of the child that it begins with. */
  readonly initial?: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly entry: readonly string[]
  readonly exit: readonly string[]
  readonly invoke: readonly string[]
  readonly states: readonly StateNode[]
  readonly transitions: readonly {
    /** Such as `PAY`, `after 1000`, `always`, `done` or `error`. */
    readonly event: string
    /** Ids; empty: it stays where it is. */
    readonly targets: readonly string[]
    readonly guard?: string
    readonly actions: readonly string[]
  }[]
}
