import { describe, expect, test } from 'vitest'
import { type Actor, type AnyActorLogic, createActor, fromCallback } from 'xstate'
import { ActorSystem } from '../../src/actors/runtime/index.js'

/** The XState actor of an actor. */
function inside(ref: object): Record<string, unknown> {
  return (ref as { actor: Actor<AnyActorLogic> }).actor as unknown as Record<string, unknown>
}

const SHARED = ['options', 'observers', 'eventListeners', '_deferred', '_actorScope', 'send']

describe('the memory of an actor', () => {
  test('is shared where XState keeps what the kit does not use', () => {
    const system = new ActorSystem()
    const parent = system.spawn('parent', { receive() {} })
    const [one, other] = [parent.spawn('one', { receive() {} }), system.spawn('other', { receive() {} })]
    for (const field of SHARED) expect(inside(one)[field], field).toBe(inside(other)[field])
    expect(inside(one)._snapshot).toBe(one)
    system.stop()
  })

  test.each(SHARED)('XState has %s for each', field => {
    const [one, other] = [createActor(fromCallback(() => {})), createActor(fromCallback(() => {}))].map(
      actor => actor as unknown as Record<string, unknown>,
    )
    expect(one).toHaveProperty(field)
    expect(one![field]).not.toBe(other![field])
  })

  test('has nothing of an actor that has stopped, whatever its place in the tree', () => {
    const system = new ActorSystem()
    const parent = system.spawn('parent', { receive() {} })
    const child = parent.spawn('child', { receive() {} })
    const before = inside(child)
    parent.stop()
    expect(before._snapshot).toMatchObject({ status: 'stopped' })
    expect([parent.live, child.live]).toEqual([false, false])
    expect(parent.tell({})).toBe(false)
    expect(system.counters.actors).toBe(1)
    system.stop()
  })
})
