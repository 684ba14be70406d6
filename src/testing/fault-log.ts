/** Which way frames go: `up` from client to server, `down` back. */
export type Direction = 'up' | 'down'

/** Both ways, or one. */
export type Directions = Direction | 'both'

/** Something that was done to a link. */
export interface FaultEvent {
  /** Milliseconds since the first link was opened. */
  readonly at: number
  /** Number of the link, from 1 in the order opened. */
  readonly link: number
  /** What was done, such as `cut`. */
  readonly what: string
  /** To what, such as `up 3`: the third frame from the client. Empty for the whole link. */
  readonly detail: string
}

/** Events kept; older ones are dropped. */
const KEPT = 10_000

/** What was done to links, in order: the same seed and traffic give the same log. */
export class FaultLog {
  readonly events: FaultEvent[] = []
  #start: number | undefined

  /** A link is opened: from the first one on the time counts. */
  opened(): void {
    this.#start ??= performance.now()
  }

  add(link: number, what: string, detail = ''): void {
    const at = Math.round(performance.now() - (this.#start ?? 0))
    this.events.push({ at, link, what, detail })
    if (this.events.length > KEPT) this.events.shift()
  }

  /** One event a line, to be printed when a test has failed. */
  toString(): string {
    return this.events
      .map(({ at, link, what, detail }) => `${at} ms, link ${link}: ${what} ${detail}`.trimEnd())
      .join('\n')
  }
}

/** The directions meant. */
export function directionsOf(which: Directions): readonly Direction[] {
  return which === 'both' ? ['up', 'down'] : [which]
}
