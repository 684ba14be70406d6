import type { Presence } from '../../engines/presence.js'
import { infoOf, nameOf, type Stay, stayOf } from './stay.js'

/** Where the entries of stays are. */
export interface StayEntriesInit {
  readonly presence: Presence
  engineName(channel: string): string
}

/** Entries asked for at once: few, as a user has few devices. */
const KNOWN_AT_ONCE = 20

/** The entries of stays in the engine. */
export class StayEntries {
  readonly #presence: Presence
  readonly #nameOf: (channel: string) => string

  constructor({ presence, engineName }: StayEntriesInit) {
    this.#presence = presence
    this.#nameOf = engineName
  }

  /** What the engine has of a user, or of one device of it. */
  async of(channel: string, user: string, device?: string): Promise<Stay[]> {
    const start = device === undefined ? user : `${user}\n${device}`
    const known: Stay[] = []
    for (let after = start; ; ) {
      const members = await this.#presence.members(this.#nameOf(channel), { after, limit: KNOWN_AT_ONCE })
      for (const member of members) {
        if (!member.member.startsWith(`${start}\n`)) return known
        const stay = stayOf(member)
        if (stay !== undefined) known.push(stay)
      }
      if (members.length < KNOWN_AT_ONCE) return known
      after = members.at(-1)!.member
    }
  }

  /** @param ttl milliseconds that it holds */
  async enter(channel: string, stay: Stay, ttl: number): Promise<void> {
    await this.#presence.join(this.#nameOf(channel), nameOf(stay), infoOf(stay), ttl)
  }

  /** Whether it is still there, and holds for longer. */
  refresh(channel: string, stay: Stay, ttl: number): Promise<boolean> {
    return this.#presence.refresh(this.#nameOf(channel), nameOf(stay), ttl)
  }

  async remove(channel: string, stay: Stay): Promise<void> {
    await this.#presence.leave(this.#nameOf(channel), nameOf(stay))
  }
}
