import { describe, expect, test } from 'vitest'
import { transportConformance } from '../../src/testing/transport-conformance.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { addressOf, connectWebSocket, connectXhr } from './sockjs-client.js'

const WAYS = {
  websocket: connectWebSocket,
  'xhr-streaming': connectXhr('xhr_streaming'),
  'xhr-polling': connectXhr('xhr'),
}

for (const [way, connect] of Object.entries(WAYS)) {
  transportConformance(
    `sockjs() by ${way}`,
    () => {
      const transport = sockjs({ port: 0, host: '127.0.0.1', disconnect_delay: 700 })
      return {
        transport,
        connect: (handler, protocols) => connect(addressOf(transport), handler, protocols),
        rival: () => sockjs({ port: transport.address()?.port ?? 0, host: '127.0.0.1' }),
      }
    },
    { describe, test, expect },
  )
}
