import { describe, expect, test } from 'vitest'
import { redis } from '../../src/engines/redis.js'
import { engineConformance } from '../../src/testing/index.js'
import { describeRedis } from '../support/redis.js'

describeRedis('a Redis engine', server => {
  let count = 0
  // Subjects are made before the server has a port: the suite looks at the first one only.
  engineConformance(
    'redis',
    () => {
      const prefix = `test${++count}`
      // 16 MiB may take seconds on a busy machine.
      const url = () => `redis://127.0.0.1:${server().port || 1}`
      const make = () => redis({ url: url(), prefix, deadline: 30_000 })
      return { engine: make(), reopen: make }
    },
    { describe, test, expect },
  )
})
