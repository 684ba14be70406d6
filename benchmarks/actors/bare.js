/**
 * XState without the actor kit: the least that does the same.
 */
import { createActor } from 'xstate'

/**
 * Logic of a plain function over private state, which returns the same snapshot for every message: the
 * fastest that XState has.
 *
 * The state is the actor's input. When the function returns something, the actor is done with that as output.
 *
 * @param {(state: any, event: any, scope: any) => unknown} receive
 */
export function logicOf(receive) {
  return {
    /** @param {unknown} _scope @param {unknown} state */
    getInitialSnapshot(_scope, state) {
      return { status: 'active', output: undefined, error: undefined, state }
    },
    /** @param {any} snapshot @param {any} event @param {any} scope */
    transition(snapshot, event, scope) {
      if (event.type === 'xstate.stop') return { ...snapshot, status: 'stopped' }
      const output = receive(snapshot.state, event, scope)
      return output === undefined ? snapshot : { ...snapshot, status: 'done', output }
    },
    /** @param {any} snapshot */
    getPersistedSnapshot(snapshot) {
      return snapshot
    },
  }
}

/**
 * A parent with custom logic and a `Map` of its children, which stop with it.
 *
 * A machine as parent copies its children at every spawn, which takes quadratic time.
 */
export class Parent {
  /** @type {Map<string, any>} */
  #children = new Map()
  /** @type {any} */
  #scope

  /** @param {object} [options] of createActor */
  constructor(options) {
    const children = this.#children
    const logic = {
      ...logicOf(() => {}),
      getInitialSnapshot: (/** @type {any} */ scope) => {
        this.#scope = scope
        return { status: 'active', output: undefined, error: undefined }
      },
      transition(/** @type {any} */ snapshot, /** @type {any} */ event, /** @type {any} */ scope) {
        if (event.type !== 'xstate.stop') return snapshot
        for (const child of children.values()) scope.stopChild(child)
        children.clear()
        return { ...snapshot, status: 'stopped' }
      },
    }
    this.actor = createActor(/** @type {any} */ (logic), options).start()
  }

  /**
   * Starts a child.
   *
   * @param {string} id
   * @param {any} logic
   * @param {unknown} [input]
   */
  spawn(id, logic, input) {
    const child = createActor(logic, { parent: this.actor, id, input })
    this.#children.set(id, child)
    return child.start()
  }

  /** Stops an actor whose parent this is. @param {any} child */
  stopChild(child) {
    this.#scope.stopChild(child)
  }
}

const SLOTS = 8192
const BUDGET = 4096

/**
 * Delivers from a queue instead of in the sender's stack, which a chain of 2,000 hops overflows.
 *
 * Like the kit it lets the event loop turn after 4,096 messages. Up to 8,191 may wait.
 */
export class Trampoline {
  #actors = new Array(SLOTS).fill(undefined)
  #events = new Array(SLOTS).fill(undefined)
  #head = 0
  #tail = 0
  #running = false

  /** @param {any} actor @param {any} event */
  send(actor, event) {
    this.#actors[this.#tail] = actor
    this.#events[this.#tail] = event
    this.#tail = (this.#tail + 1) & (SLOTS - 1)
    if (this.#tail === this.#head) throw new Error('The trampoline is full')
    if (this.#running) return
    this.#running = true
    setImmediate(this.#drain)
  }

  #drain = () => {
    for (let left = BUDGET; left > 0 && this.#head !== this.#tail; left--) {
      const at = this.#head
      this.#head = (at + 1) & (SLOTS - 1)
      this.#actors[at].send(this.#events[at])
    }
    if (this.#head === this.#tail) this.#running = false
    else setImmediate(this.#drain)
  }
}
