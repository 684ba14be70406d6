import type { Occupancy, Occupant } from '../engines/occupancy.js'
import { type EnginePart, refusal } from './engine-conformance-fixture.js'
import { seededRandom } from './seeded-random.js'

/** The part of the suite on `occupancy.ts`. */
export const occupancyPart: EnginePart<'occupancy'> = {
  capability: 'occupancy',
  lacking: 'it has no occupancy',
  tests({ check, expect }) {
    check('gives a place to whoever comes first, until it leaves', async occupancy => {
      expect(await occupancy.enter('g', 'one', ['a', 'b'])).toEqual(['a', 'b'])
      expect(await occupancy.enter('g', 'two', ['c', 'b'])).toEqual(['c'])
      expect(await occupancy.enter('g', 'three', ['b'])).toEqual([])
      expect(await occupancy.leave('g', 'one', ['a', 'b'])).toEqual([{ place: 'b', owner: 'two' }])
      expect(await occupancy.leave('g', 'two', ['b'])).toEqual([{ place: 'b', owner: 'three' }])
      expect(await occupancy.leave('g', 'three', ['b'])).toEqual([])
      expect(await occupancy.enter('g', 'one', ['b'])).toEqual(['b'])
    })

    check('gives a place to one of those who come at once', async occupancy => {
      const members = Array.from({ length: 20 }, (_, at) => `member ${at}`)
      const owned = await Promise.all(members.map(member => occupancy.enter('g', member, ['a'])))
      expect(owned.flat()).toEqual(['a'])
    })

    check('passes nothing on when somebody leaves who does not own it', async occupancy => {
      await occupancy.enter('g', 'one', ['a'])
      await occupancy.enter('g', 'two', ['a'])
      expect(await occupancy.leave('g', 'two', ['a', 'never'])).toEqual([])
      expect(await occupancy.leave('g', 'nobody', ['a'])).toEqual([])
      expect(await occupancy.enter('g', 'one', ['a'])).toEqual(['a'])
    })

    check('changes nothing when a call is repeated', async occupancy => {
      for (let time = 0; time < 2; time++) {
        expect(await occupancy.enter('g', 'one', ['a', 'a'])).toEqual(['a', 'a'])
        expect(await occupancy.enter('g', 'two', ['a'])).toEqual([])
      }
      expect(byName(await occupancy.occupants('g'))).toEqual([
        { member: 'one', places: 1, owned: 1 },
        { member: 'two', places: 1, owned: 0 },
      ])
      expect(await occupancy.leave('g', 'one', ['a', 'a'])).toEqual([{ place: 'a', owner: 'two' }])
      expect(await occupancy.leave('g', 'one', ['a'])).toEqual([])
    })

    check('takes a member out of all its places, so many at once', async occupancy => {
      const places = Array.from({ length: 25 }, (_, at) => `place ${at}`)
      await occupancy.enter('g', 'dead', places)
      await occupancy.enter('g', 'one', places.slice(0, 10))
      await occupancy.enter('g', 'two', places.slice(5, 15))
      const passed = new Map<string, string>()
      const complete: boolean[] = []
      do {
        const page = await occupancy.evict('g', 'dead', 10)
        for (const { place, owner } of page.passed) passed.set(place, owner)
        complete.push(page.complete)
      } while (!complete.at(-1))
      expect(complete).toEqual([false, false, true])
      expect([...passed.keys()].sort()).toEqual(places.slice(0, 15).sort())
      expect([passed.get('place 5'), passed.get('place 10')]).toEqual(['one', 'two'])
      expect(byName(await occupancy.occupants('g'))).toEqual([
        { member: 'one', places: 10, owned: 10 },
        { member: 'two', places: 10, owned: 5 },
      ])
      expect(await occupancy.evict('g', 'dead')).toEqual({ passed: [], complete: true })
    })

    check('keeps groups apart', async occupancy => {
      expect(await occupancy.enter('g', 'one', ['a'])).toEqual(['a'])
      expect(await occupancy.enter('h', 'two', ['a'])).toEqual(['a'])
      await occupancy.leave('g', 'one', ['a'])
      expect(await occupancy.occupants('g')).toEqual([])
      expect((await occupancy.occupants('h')).length).toBe(1)
    })

    check('tells whoever is in none nothing of places', async occupancy => {
      expect(await occupancy.enter('g', 'one', [])).toEqual([])
      expect(await occupancy.leave('g', 'one', [])).toEqual([])
      expect(await occupancy.occupants('g')).toEqual([])
    })

    check('takes names of any characters', async occupancy => {
      const names = ['}', '{x}', '%7D', 'a:b', 'a b\n', 'p', '\u{1f600}', '\0', 'n'.repeat(512)]
      for (const name of names) {
        expect(await occupancy.enter(name, name, names)).toEqual(names)
        expect(await occupancy.occupants(name)).toEqual([{ member: name, places: 9, owned: 9 }])
      }
    })

    check('does what a plain list of those there would do', async occupancy => {
      for (let seed = 0; seed < 20; seed++) await followModel(occupancy, `group ${seed}`, seed, expect)
    })

    check('refuses what is no name, limit or list', async occupancy => {
      const calls = [
        occupancy.enter('', 'one', ['a']),
        occupancy.enter('g', '', ['a']),
        occupancy.enter('g', 'm'.repeat(513), ['a']),
        occupancy.enter('g', 'one', ['']),
        occupancy.enter('g', 'one', 'a' as never),
        occupancy.enter('g', 'one', Array(1001).fill('a')),
        occupancy.leave('g', 'one', [7 as never]),
        occupancy.leave('g', '', ['a']),
        occupancy.evict('g', 'one', 0),
        occupancy.evict('g', undefined as never),
        occupancy.occupants(''),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'INVALID_ARGUMENTS'))
    })

    check('is unavailable once the engine is closed', async (occupancy, subject) => {
      await subject.engine.close()
      const calls = [
        occupancy.enter('g', 'one', ['a']),
        occupancy.leave('g', 'one', ['a']),
        occupancy.evict('g', 'one'),
        occupancy.occupants('g'),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'ENGINE_UNAVAILABLE'))
    })
  },
}

/** Forty calls that are drawn, each next to what a list for each place would give. */
async function followModel(
  occupancy: Occupancy,
  group: string,
  seed: number,
  expect: (value: unknown) => { toEqual(other: unknown): void },
): Promise<void> {
  const random = seededRandom(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!
  const names = ['a', 'b', 'c', 'd']
  const members = ['one', 'two', 'three']
  const model = new Map<string, string[]>(names.map(name => [name, []]))
  const take = (member: string, places: readonly string[]) =>
    places.flatMap(place => {
      const there = model.get(place)!
      const rest = there.filter(who => who !== member)
      model.set(place, rest)
      return there[0] === member && rest.length > 0 ? [{ place, owner: rest[0]! }] : []
    })
  for (let step = 0; step < 40; step++) {
    const member = pick(members)
    const places = names.filter(() => random() < 0.4)
    const what = random()
    if (what < 0.55) {
      for (const place of places) {
        const there = model.get(place)!
        if (!there.includes(member)) there.push(member)
      }
      const owned = places.filter(place => model.get(place)![0] === member)
      expect(await occupancy.enter(group, member, places)).toEqual(owned)
    } else if (what < 0.9) {
      expect(await occupancy.leave(group, member, places)).toEqual(take(member, places))
    } else {
      const { passed, complete } = await occupancy.evict(group, member)
      const byPlace = (list: typeof passed) => [...list].sort((a, b) => (a.place < b.place ? -1 : 1))
      expect([byPlace(passed), complete]).toEqual([byPlace(take(member, names)), true])
    }
    const occupants = members.map(who => {
      const of = [...model.values()].filter(there => there.includes(who))
      return { member: who, places: of.length, owned: of.filter(there => there[0] === who).length }
    })
    expect(byName(await occupancy.occupants(group))).toEqual(
      byName(occupants.filter(({ places }) => places > 0)),
    )
  }
}

function byName(occupants: readonly Occupant[]): Occupant[] {
  return [...occupants].sort((a, b) => (a.member < b.member ? -1 : 1))
}
