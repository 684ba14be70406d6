import { checkName, checkPlaces, checkWhole } from './checks.js'
import type { Occupancy, Occupant, Passed } from './occupancy.js'
import type { RedisLink } from './redis-link.js'
import type { RedisNames } from './redis-names.js'
import { OCCUPANCY } from './redis-scripts.js'
import type { Reply } from './redis-wire.js'

/** Occupancy in Redis: a group is in one slot. */
export class RedisOccupancy implements Occupancy {
  readonly #link: RedisLink
  readonly #names: RedisNames

  constructor(link: RedisLink, names: RedisNames) {
    this.#link = link
    this.#names = names
  }

  async enter(group: string, member: string, places: readonly string[]): Promise<string[]> {
    checkPlaces(places)
    const owned = new Set(textsOf(await this.#run(group, 'enter', member, places)))
    return places.filter(place => owned.has(place))
  }

  async leave(group: string, member: string, places: readonly string[]): Promise<Passed[]> {
    checkPlaces(places)
    return passedOf(textsOf(await this.#run(group, 'leave', member, places)))
  }

  async evict(group: string, member: string, limit = 1000): Promise<{ passed: Passed[]; complete: boolean }> {
    checkWhole('limit', limit, 1)
    const [left, ...passed] = textsOf(await this.#run(group, 'evict', member, [String(limit)]))
    return { passed: passedOf(passed), complete: left === '0' }
  }

  async occupants(group: string): Promise<Occupant[]> {
    const texts = textsOf(await this.#run(group, 'occupants'))
    const found: Occupant[] = []
    for (let at = 0; at < texts.length; at += 3) {
      found.push({ member: texts[at]!, places: Number(texts[at + 1]), owned: Number(texts[at + 2]) })
    }
    return found
  }

  #run(group: string, what: string, member = '', rest: readonly string[] = []): Promise<Reply> {
    this.#link.checkOpen()
    checkName('group', group)
    if (what !== 'occupants') checkName('member', member)
    const keys = ['places', 'counts', `of:${member}`].map(key => this.#names.of('occupancy', group, key))
    return this.#link.run(OCCUPANCY, [...keys, what, member, ...rest])
  }
}

function passedOf(texts: readonly string[]): Passed[] {
  const passed: Passed[] = []
  for (let at = 0; at < texts.length; at += 2) passed.push({ place: texts[at]!, owner: texts[at + 1]! })
  return passed
}

function textsOf(reply: Reply): string[] {
  return (reply as (Buffer | number)[]).map(String)
}
