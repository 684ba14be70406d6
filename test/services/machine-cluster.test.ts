import { describe, expect, test } from 'vitest'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import { memory } from '../../src/engines/memory.js'
import { tenured } from '../../src/services/machine/tenured.js'
import { manualClock } from '../../src/testing/index.js'
import { acted, counter, LEASE, machineCluster } from './machine-cluster-support.js'

const codeOf = (promise: Promise<unknown>) => promise.then(String, error => error.code)

/** Two servers, a client of each, and the counter `a` that lives on the first. */
async function two(options: Parameters<typeof machineCluster>[0] = {}) {
  const made = machineCluster(options)
  const { time } = made
  const [one, other] = [await made.start('one'), await made.start('other')]
  const [near, far] = [(await one.connect()).get('a'), (await other.connect()).get('a')]
  await time.until(near.send({ type: 'add', by: 'near' }))
  /** Resolves when a client sees so many. */
  const sees = async (client: typeof near, count: number): Promise<void> => {
    const seen = new Promise<void>(resolve => {
      const leave = client.subscribe(check)
      function check(): void {
        if ((client.getSnapshot() as { count: number } | undefined)?.count !== count) return
        resolve()
        leave()
      }
      queueMicrotask(check)
    })
    await time.until(seen)
  }
  return { ...made, one, other, near, far, sees }
}

describe('a machine in a cluster', () => {
  test('lives once, takes events from every server, and is seen on all of them', async () => {
    const { time, one, other, near, far } = await two()
    const seen: unknown[] = []
    near.subscribe(() => undefined)
    far.subscribe(() => seen.push(far.getSnapshot()))
    await time.until(Promise.all([near.ready(), far.ready()]))
    await time.until(far.send({ type: 'add', by: 'far' }))
    await time.until(near.send({ type: 'add', by: 'near' }))
    await time.settle()
    expect(seen).toEqual([
      { value: 'on', count: 1, by: 'near' },
      { value: 'on', count: 2, by: 'far' },
      { value: 'on', count: 3, by: 'near' },
    ])
    expect(near.getSnapshot()).toEqual({ value: 'on', count: 3, by: 'near' })
    expect([one.keys(), other.keys()]).toEqual([['a'], []])
    expect(await time.until(far.can({ type: 'arm' }))).toBe(true)
    await time.until(far.send({ type: 'end' }))
    expect(await time.until(far.done())).toMatchObject({ value: 'over' })
    expect(await codeOf(time.until(far.send({ type: 'add', by: 'x' })))).toBe('ACTOR_STOPPED')
  })

  test('shows each viewer its own, on whichever server it is', async () => {
    const { time, near, far } = await two({
      project: ((
        snapshot: { matches(state: string): boolean; context: { count: number } },
        ctx: { connectionId: string },
      ) => ({
        isOn: snapshot.matches('on'),
        count: snapshot.context.count,
        me: ctx.connectionId,
      })) as never,
    })
    for (const client of [near, far]) client.subscribe(() => undefined)
    await time.until(Promise.all([near.ready(), far.ready()]))
    await time.until(near.send({ type: 'arm' }))
    await time.settle()
    const [mine, theirs] = [near, far].map(client => client.getSnapshot() as unknown as { me: string })
    expect([mine, theirs]).toMatchObject([
      { isOn: false, count: 1 },
      { isOn: false, count: 1 },
    ])
    expect(mine!.me).not.toBe(theirs!.me)
  })

  test('tells the sender on another server what has failed, and whoever views it there too', async () => {
    const { time, near, far } = await two()
    far.subscribe(() => undefined)
    await time.until(far.ready())
    expect(await codeOf(time.until(far.send({ type: 'break' })))).toBe('ACTOR_CRASHED')
    await time.advance(2000)
    expect(await codeOf(time.until(far.send({ type: 'spoil' })))).toBe('PERSIST_FAILED')
    await time.advance(2000)
    await time.until(near.send({ type: 'add', by: 'near' }))
    await time.settle()
    expect(far.getSnapshot()).toMatchObject({ count: 2 })
  })

  test('is let go when it is idle everywhere, and begins where it is called next', async () => {
    const { time, one, other, far } = await two({ idle: 1000 })
    const leave = far.subscribe(() => undefined)
    await time.until(far.ready())
    await time.advance(10 * LEASE)
    expect(one.keys()).toEqual(['a'])
    leave()
    await time.advance(1100)
    expect(one.keys()).toEqual([])
    await time.until(far.send({ type: 'add', by: 'far' }))
    expect([one.keys(), other.keys()]).toEqual([[], ['a']])
    expect(await time.until(far.ready())).toMatchObject({ count: 2 })
  })
})

describe('a machine whose server goes', () => {
  test('by a planned stop is handed over at once, with its state, and viewers see on', async () => {
    const { time, one, other, far, sees } = await two()
    far.subscribe(() => undefined)
    await time.until(far.ready())
    const before = time.elapsed
    await one.stop()
    await time.until(far.send({ type: 'add', by: 'far' }))
    expect(time.elapsed - before).toBeLessThan(500)
    await sees(far, 2)
    expect(other.keys()).toEqual(['a'])
  })

  test('while it drains is handed over before its clients have gone', async () => {
    const { time, one, other, far } = await two()
    far.subscribe(() => undefined)
    await time.until(far.ready())
    const stopping = one.stop({ drain: 8000 })
    await time.advance(300)
    expect([one.keys(), other.keys()]).toEqual([[], ['a']])
    await stopping
  })

  test('by being cut off moves when its lease is over; what it does there alone has no effect', async () => {
    const { time, one, other, near, far, sees } = await two()
    far.subscribe(() => undefined)
    await time.until(far.send({ type: 'arm' }))
    one.state.isCut = true
    // On its way when the lease was still there, and refused: nothing was acknowledged.
    const refused = codeOf(near.send({ type: 'add', by: 'cut' }))
    await time.advance(LEASE)
    expect(one.keys()).toEqual([])
    expect(await time.until(refused)).toBe('PERSIST_FAILED')
    await time.advance(LEASE)
    expect(other.keys()).toEqual(['a'])
    // Both had the deadline; it is met once.
    expect(acted).toEqual(['a off'])
    expect(far.getSnapshot()).toMatchObject({ value: 'off', count: 1 })
    one.state.isCut = false
    await time.advance(LEASE)
    await time.until(near.send({ type: 'add', by: 'near' }))
    await sees(far, 2)
    expect([one.keys(), other.keys()]).toEqual([[], ['a']])
  })

  test('makes up for what was not heard', async () => {
    const { time, other, near, far } = await two()
    far.subscribe(() => undefined)
    await time.until(far.ready())
    other.state.isDeaf = true
    await time.until(near.send({ type: 'add', by: 'near' }))
    await time.settle()
    expect(far.getSnapshot()).toMatchObject({ count: 1 })
    other.state.isDeaf = false
    await time.advance(LEASE / 3 + 10)
    expect(far.getSnapshot()).toMatchObject({ count: 2 })
  })
})

test('a machine whose lease is over does nothing any more, not even what was due meanwhile', async () => {
  const clock = manualClock()
  const crashes: unknown[] = []
  const system = new ActorSystem({
    clock,
    store: memory({ clock }).kv,
    crashed: ({ error }) => crashes.push(error),
  })
  let isHeld = true
  const lost = new Error('the lease is over')
  const check = (): void => {
    if (!isHeld) throw lost
  }
  const ref = system.spawn('a', tenured(counter, { fence: 7, check }), {
    input: { key: 'a' },
    persist: { fence: 7 },
    onCrash: 'stop',
  })
  acted.length = 0
  await ref.perform({ type: 'arm' } as never, { timeout: 1000 })
  isHeld = false
  clock.advance(5000)
  await new Promise(setImmediate)
  expect([acted, crashes, ref.live]).toEqual([[], [lost], false])
  system.stop()
})

test('a server that shares its engine with nobody has machines as ever: nothing is sent for them', async () => {
  const made = machineCluster()
  const one = await made.start('one')
  const actor = (await one.connect()).get('a')
  actor.subscribe(() => undefined)
  await made.time.until(actor.ready())
  const { sent } = one.state
  await made.time.until(actor.send({ type: 'add', by: 'x' }))
  await made.time.settle()
  expect([one.state.sent, actor.getSnapshot()]).toMatchObject([sent, { count: 1 }])
})
