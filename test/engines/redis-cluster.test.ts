import { describe, expect, test } from 'vitest'
import { redis } from '../../src/engines/redis.js'
import { engineConformance } from '../../src/testing/index.js'
import { describeServers } from '../support/redis.js'
import { RedisCluster } from '../support/redis-cluster.js'

describeServers(
  'an engine on a Redis Cluster of three masters',
  () => new RedisCluster(),
  cluster => {
    let count = 0
    engineConformance(
      'redis',
      () => {
        const prefix = `test${++count}`
        const make = () => redis({ client: cluster().client(), prefix, deadline: 30_000 })
        return { engine: make(), reopen: make }
      },
      { describe, test, expect },
    )
  },
)
