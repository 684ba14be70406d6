import { nameOf, type Stay } from './stay.js'

/** What clients are told of a member: `[user, [[device, meta], …]]`. */
export type Row = [user: string, devices: [id: string, meta: unknown][]]

/** Devices of one user that are told of at the most: a row is sent anew with each change of one of them. */
const MAX_DEVICES = 32

/** The members of one channel, made of the entries of an engine. */
export class Roster {
  /** Entries by name, by user. */
  readonly #users = new Map<string, Map<string, Stay>>()
  /** Users by name, until one comes or goes. */
  #sorted: readonly string[] | undefined

  get size(): number {
    return this.#users.size
  }

  has(user: string): boolean {
    return this.#users.has(user)
  }

  /** Takes an entry in; returns whether its user has come with it. */
  add(stay: Stay): boolean {
    const stays = this.#users.get(stay.user)
    if (stays !== undefined) {
      stays.set(nameOf(stay), stay)
      return false
    }
    this.#users.set(stay.user, new Map([[nameOf(stay), stay]]))
    this.#sorted = undefined
    return true
  }

  /** Takes an entry out; returns whether its user has gone with it. */
  remove({ user, ...rest }: Pick<Stay, 'user' | 'device' | 'revision' | 'node'>): boolean {
    const stays = this.#users.get(user)
    if (stays === undefined || !stays.delete(nameOf({ user, ...rest })) || stays.size > 0) return false
    this.#sorted = undefined
    return this.#users.delete(user)
  }

  /** What stands here and not there, by names. */
  without(names: ReadonlySet<string>): Stay[] {
    const gone: Stay[] = []
    for (const stays of this.#users.values()) {
      for (const [name, stay] of stays) if (!names.has(name)) gone.push(stay)
    }
    return gone
  }

  /** What is told of a member; undefined when it is not there. */
  row(user: string): Row | undefined {
    const stays = this.#users.get(user)
    if (stays === undefined) return undefined
    const devices = new Map<string, Stay>()
    for (const stay of stays.values()) {
      const known = devices.get(stay.device)
      if (known === undefined || known.revision < stay.revision) devices.set(stay.device, stay)
    }
    const here = [...devices.values()].filter(({ away }) => !away)
    return [
      user,
      here
        .sort(byDevice)
        .slice(0, MAX_DEVICES)
        .map(({ device, meta }) => [device, meta]),
    ]
  }

  /** Rows of users behind this one, in the order of their names; and whether there are more. */
  page(after: string | undefined, limit: number): { rows: Row[]; more: boolean } {
    this.#sorted ??= [...this.#users.keys()].sort()
    const users = this.#sorted
    let from = 0
    for (let to = after === undefined ? 0 : users.length; from < to; ) {
      const middle = (from + to) >> 1
      if (users[middle]! > after!) to = middle
      else from = middle + 1
    }
    const rows = users.slice(from, from + limit).map(user => this.row(user)!)
    return { rows, more: users.length > from + limit }
  }
}

function byDevice(one: Stay, other: Stay): number {
  return one.device < other.device ? -1 : 1
}
