import { createClient } from '/socketstream/client.js'
import { log, run, watch } from './log.js'

const client = createClient({ onTransport: name => log(`onTransport: ${name}`) })
watch(client)

run(async () => {
  await client.connect()
  const { rpc } = client.api
  log(`2 + 3 = ${await rpc.add(2, 3)} over ${await rpc.transport()}`)
})
