import { expectTypeOf, test } from 'vitest'
import type { Cluster } from '../../src/index.js'

declare const cluster: Cluster

// Called by nobody: only its types are looked at.
async function program(): Promise<void> {
  const reindex = cluster.answer('reindex', (path: string) => Promise.resolve({ path, pages: 7 }))
  expectTypeOf(await reindex.call('/docs')).toEqualTypeOf<{ path: string; pages: number }>()
  // @ts-expect-error the payload is a path
  await reindex.call(7)
  expectTypeOf(reindex()).toBeVoid()

  const carts = cluster.keyed('cart', {
    start: ({ key }) => ({ call: (item: { sku: string }) => [key, item.sku] as const }),
  })
  expectTypeOf(await carts.call('ann', { sku: 'tea' })).toEqualTypeOf<readonly [string, string]>()
  // @ts-expect-error the payload has a sku
  await carts.call('ann', { name: 'tea' })

  expectTypeOf(await cluster.call('anything', 1)).toBeUnknown()
  expectTypeOf(await cluster.call<number>('count')).toBeNumber()
  cluster.answer('loose', payload => expectTypeOf(payload).toBeUnknown())
}

test('calls between servers are typed from end to end', () => {
  expectTypeOf(program).toBeFunction()
})
