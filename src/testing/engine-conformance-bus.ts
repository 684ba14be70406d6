import type { Bus } from '../engines/bus.js'
import { bytes, type EnginePart, Heard, refusal } from './engine-conformance-fixture.js'

/** The part of the suite on `bus.ts`. */
export const busPart: EnginePart<'bus'> = {
  capability: 'bus',
  lacking: 'it has no bus',
  tests({ check, expect }) {
    const listen = async (bus: Bus, node: string) => {
      const heard = new Heard<number>()
      const { close } = await bus.listen(node, message => heard.add(message[0]!))
      return { heard, close }
    }

    check('brings what is sent to a node, in order, and says whether anybody listens', async bus => {
      expect(await bus.send('a', bytes(9))).toBe(false)
      const { heard } = await listen(bus, 'a')
      const other = await listen(bus, 'b')
      const sent = await Promise.all(Array.from({ length: 50 }, (_, i) => bus.send('a', bytes(i))))
      expect(sent).toEqual(Array(50).fill(true))
      expect(await heard.atLeast(50)).toEqual(Array.from({ length: 50 }, (_, i) => i))
      await bus.send('b', bytes(1))
      expect(await other.heard.atLeast(1)).toEqual([1])
    })

    check('broadcasts to every node', async bus => {
      const listeners = await Promise.all(['a', 'b', 'b'].map(node => listen(bus, node)))
      await bus.broadcast(bytes(1))
      await bus.broadcast(bytes(2))
      for (const { heard } of listeners) expect(await heard.atLeast(2)).toEqual([1, 2])
    })

    check('brings nothing to those who listen no longer', async bus => {
      const gone = await listen(bus, 'a')
      const stays = await listen(bus, 'a')
      gone.close()
      gone.close()
      expect(await bus.send('a', bytes(1))).toBe(true)
      expect(await stays.heard.atLeast(1)).toEqual([1])
      expect(gone.heard.items).toEqual([])
      stays.close()
      expect(await bus.send('a', bytes(2))).toBe(false)
    })

    check('takes the bytes as they are when it is called', async bus => {
      const { heard } = await listen(bus, 'a')
      const message = bytes(1)
      const sending = bus.send('a', message)
      message.fill(9)
      await sending
      expect(await heard.atLeast(1)).toEqual([1])
    })

    check('goes on after a handler that throws, and tells of it', async (bus, { engine }) => {
      const faults = new Heard<unknown>()
      engine.on('fault', faults.add)
      const fault = new Error('a bad handler')
      await bus.listen('a', () => {
        throw fault
      })
      const { heard } = await listen(bus, 'a')
      await bus.send('a', bytes(1))
      await bus.send('a', bytes(2))
      expect(await heard.atLeast(2)).toEqual([1, 2])
      expect((await faults.atLeast(2))[0]).toBe(fault)
    })

    check('refuses what is no name or no bytes', async bus => {
      const calls = [
        bus.send('', bytes(1)),
        bus.send('n'.repeat(513), bytes(1)),
        bus.send('a', 'text' as never),
        bus.send('a', new Uint8Array(2 ** 24 + 1)),
        bus.broadcast(undefined as never),
        bus.listen('', () => undefined),
        bus.listen('a', undefined as never),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'INVALID_ARGUMENTS'))
    })

    check('is unavailable once the engine is closed, and silent', async (bus, subject) => {
      const { heard } = await listen(bus, 'a')
      const sending = bus.send('a', bytes(1)).catch(() => undefined)
      const closing = subject.engine.close()
      const before = heard.items.length
      await Promise.all([sending, closing])
      expect(heard.items.length).toBe(before)
      const calls = [bus.send('a', bytes(1)), bus.broadcast(bytes(1)), bus.listen('a', () => undefined)]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'ENGINE_UNAVAILABLE'))
    })
  },
}
