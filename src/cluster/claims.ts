import { noResponder } from './absence.js'
import type { Answerer } from './calls.js'
import type { Heard, Recording, Relays } from './relays.js'

/** What taking over needs of its cluster. */
export interface ClaimsInit {
  readonly id: string
  readonly relays: Relays
  others(): ReadonlySet<string>
  on(event: 'joined' | 'left', listener: (id: string) => void): () => void
  serve(name: string, handler: Answerer): void
  ask(node: string, name: string, payload: unknown, options: { readonly deadline: number }): Promise<unknown>
}

/** A client that has come to another server than the one that has its connection. */
export interface Claim {
  readonly token: string
  readonly try: number
  readonly recv: number
  readonly session: string | null
  /** What `authenticate` has returned there; empty without one. */
  readonly user: readonly unknown[]
  /** The service table there. */
  readonly services: string
  /** What that server has heard: it cannot make up for anything before. */
  readonly heard: Heard
}

/** What becomes of a claim. */
export type ClaimAnswer =
  /** The packed connection, and how far its server had heard when it let go of it. */
  | { readonly state: Uint8Array; readonly heard: Heard }
  | { readonly refused: string }
  /** It has gone on there. */
  | { readonly at: string }
  /** It waits in the engine. */
  | { readonly stored: true }

/** What the server that had a connection is told when another one has it, or could not have it. */
export interface Claimed {
  readonly id: string
  readonly isThere: boolean
}

/** Milliseconds in which a claim is answered: longer than the server waits for calls under way. */
const DEADLINE = 8000
/** Milliseconds in which one server hears as far as another one has. */
const REACH = 1000
const CLAIM = '$claim'
const CLAIMED = '$claimed'

/** Questions between servers about connections that go on elsewhere: one for each client that comes. */
export class ClusterClaims {
  readonly #init: ClaimsInit

  constructor(init: ClaimsInit) {
    this.#init = init
  }

  /** The id of this server. */
  get id(): string {
    return this.#init.id
  }

  /** Whether there are other servers. */
  get hasOthers(): boolean {
    return this.#init.others().size > 0
  }

  /** Calls back when a server has gone. */
  onLeft(listener: (id: string) => void): void {
    this.#init.on('left', listener)
  }

  /** Answers what other servers ask of this one. */
  serve(
    claim: (claim: Claim, from: string) => unknown,
    claimed: (claimed: Claimed, from: string) => unknown,
  ): void {
    this.#init.serve(CLAIM, (payload, from) => {
      this.#init.relays.isNeeded = true
      return claim(payload, from)
    })
    this.#init.serve(CLAIMED, claimed)
  }

  /** Records what is relayed, this server's own included. */
  record(): Recording {
    this.#init.relays.isNeeded = true
    return this.#init.relays.record()
  }

  /** How far this server has heard. */
  heard(): Heard {
    return this.#init.relays.heard()
  }

  /** Resolves to whether this server has come to hear as far. */
  reach(heard: Heard): Promise<boolean> {
    const { relays, others } = this.#init
    return relays.reach(heard, REACH, node => others().has(node))
  }

  /** Asks for a connection. Rejects with `NO_RESPONDER` when nothing was done, and as `ClusterWire.ask`. */
  async ask(node: string, claim: Claim): Promise<ClaimAnswer> {
    if (!this.#init.others().has(node)) throw noResponder(`The server ${node} is not there`)
    return (await this.#init.ask(node, CLAIM, claim, { deadline: DEADLINE })) as ClaimAnswer
  }

  /** Tells what has become of it; resolves to false when that server has gone on with it itself. */
  async tell(node: string, claimed: Claimed): Promise<boolean> {
    return (await this.#init.ask(node, CLAIMED, claimed, { deadline: DEADLINE })) === true
  }
}
