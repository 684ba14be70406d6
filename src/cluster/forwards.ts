import type { TransportPeers } from '../transports/transport.js'
import { noResponder } from './absence.js'
import type { Answerer } from './calls.js'

/** Answers what was handed on; undefined when it is not for this transport. */
type Taker = (question: unknown) => Promise<unknown> | undefined

/** What forwarding needs of its cluster. */
export interface ForwardsInit {
  /** The id of this server. */
  readonly id: string
  serve(name: string, handler: Answerer): void
  ask(node: string, name: string, payload: unknown, options: { readonly deadline: number }): Promise<unknown>
}

/** Characters of a server's id: of others nothing is asked, whatever a client may say. */
const NODE = /^[\w-]{12}$/

/** What transports hand on to the same transport of another server. */
export class ClusterForwards implements TransportPeers {
  readonly #init: ForwardsInit
  /** Several by one name: two ports of a server may have the same path. */
  readonly #takers = new Map<string, Set<Taker>>()

  constructor(init: ForwardsInit) {
    this.#init = init
  }

  get id(): string {
    return this.#init.id
  }

  answer(name: string, taker: Taker): () => void {
    let takers = this.#takers.get(name)
    if (takers === undefined) {
      const added = new Set<Taker>()
      this.#takers.set(name, added)
      this.#init.serve(`$transport/${name}`, question => ask(added, question))
      takers = added
    }
    const all = takers
    all.add(taker)
    return () => void all.delete(taker)
  }

  async ask(node: string, name: string, question: unknown, deadline: number): Promise<unknown> {
    if (!NODE.test(node)) throw noResponder('There is no such server')
    return this.#init.ask(node, `$transport/${name}`, question, { deadline })
  }
}

function ask(takers: ReadonlySet<Taker>, question: unknown): Promise<unknown> | null {
  for (const taker of takers) {
    const answer = taker(question)
    if (answer !== undefined) return answer
  }
  return null
}
