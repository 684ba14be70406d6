import { describe, expect, test } from 'vitest'
import { transportConformance } from '../../src/testing/transport-conformance.js'
import { sse } from '../../src/transports/sse.js'
import { connectSse, urlOf } from './sse-client.js'

transportConformance(
  'sse()',
  () => {
    const transport = sse({ port: 0, host: '127.0.0.1' })
    return {
      transport,
      connect: (handler, protocols) => connectSse(urlOf(transport), handler, protocols),
      rival: () => sse({ port: transport.address()?.port ?? 0, host: '127.0.0.1' }),
    }
  },
  { describe, test, expect },
)
