import { checkName, checkPlaces, checkWhole, unavailable } from './checks.js'
import type { Occupancy, Occupant, Passed } from './occupancy.js'

interface Group {
  /** Members by place, those that came first in front. */
  readonly places: Map<string, string[]>
  readonly members: Map<string, Set<string>>
}

/** Occupancy within this process. */
export class LocalOccupancy implements Occupancy {
  readonly #most: number
  readonly #groups = new Map<string, Group>()
  #count = 0
  #closed = false

  /** @param most places of all members together */
  constructor(most: number) {
    this.#most = most
  }

  async enter(group: string, member: string, places: readonly string[]): Promise<string[]> {
    this.#check(group)
    checkName('member', member)
    checkPlaces(places)
    const { places: all, members } = this.#groups.get(group) ?? { places: new Map(), members: new Map() }
    const own = members.get(member) ?? new Set<string>()
    const fresh = new Set(places.filter(place => !own.has(place)))
    if (this.#count + fresh.size > this.#most) {
      throw unavailable(`The engine has room for ${this.#most} places; raise its option \`items\` for more`)
    }
    for (const place of fresh) {
      own.add(place)
      const there = all.get(place)
      if (there === undefined) all.set(place, [member])
      else there.push(member)
    }
    this.#count += fresh.size
    if (own.size > 0) this.#groups.set(group, { places: all, members: members.set(member, own) })
    return places.filter(place => all.get(place)![0] === member)
  }

  async leave(group: string, member: string, places: readonly string[]): Promise<Passed[]> {
    this.#check(group)
    checkName('member', member)
    checkPlaces(places)
    return this.#take(group, member, places)
  }

  async evict(group: string, member: string, limit = 1000): Promise<{ passed: Passed[]; complete: boolean }> {
    this.#check(group)
    checkName('member', member)
    checkWhole('limit', limit, 1)
    const places = [...(this.#groups.get(group)?.members.get(member) ?? [])].slice(0, limit)
    const passed = this.#take(group, member, places)
    return { passed, complete: this.#groups.get(group)?.members.has(member) !== true }
  }

  async occupants(group: string): Promise<Occupant[]> {
    this.#check(group)
    const { places: all, members } = this.#groups.get(group) ?? {}
    return [...(members ?? [])].map(([member, places]) => {
      const owned = [...places].filter(place => all!.get(place)![0] === member)
      return { member, places: places.size, owned: owned.length }
    })
  }

  close(): void {
    this.#closed = true
    this.#groups.clear()
  }

  #take(name: string, member: string, places: readonly string[]): Passed[] {
    const group = this.#groups.get(name)
    const own = group?.members.get(member)
    const passed: Passed[] = []
    for (const place of places) {
      if (!own?.delete(place)) continue
      this.#count--
      const there = group!.places.get(place)!
      const wasOwner = there[0] === member
      there.splice(there.indexOf(member), 1)
      if (there.length === 0) group!.places.delete(place)
      else if (wasOwner) passed.push({ place, owner: there[0]! })
    }
    if (own?.size === 0) group!.members.delete(member)
    if (group?.members.size === 0) this.#groups.delete(name)
    return passed
  }

  #check(group: string): void {
    if (this.#closed) throw unavailable('The engine is closed')
    checkName('group', group)
  }
}
