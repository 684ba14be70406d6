import { createClient } from '/socketstream/client.js'
import { check, log, run, watch } from './log.js'

const client = createClient({ reconnect: { minDelay: 50, maxDelay: 400 } })
watch(client)

run(async () => {
  await client.connect()
  const { rpc, news } = client.api
  log(`over ${await rpc.transport()}`)
  log(`2 + 3 = ${await rpc.add(2, 3)}`)

  const bytes = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 31 + (i >> 8)) % 256)
  check(new Set(bytes).size === 256, 'not all byte values are there')
  const back = await rpc.echo(bytes)
  check(back instanceof Uint8Array && back.length === bytes.length, `${back} are no bytes`)
  check(
    back.every((byte, i) => byte === bytes[i]),
    'the bytes are others',
  )
  log(`${back.length} bytes there, ${await rpc.sum(bytes)} in sum, and back`)

  const [date, large, set] = await rpc.echo([new Date(86_400_000), 2n ** 62n, new Set(['a', 1])])
  check(date instanceof Date && typeof large === 'bigint' && set instanceof Set, 'the values are others')
  log(`${date.toISOString()}, ${large}, ${[...set].join(' and ')}`)

  const items = []
  for await (const item of rpc.count(5)) items.push(item)
  log(`a stream of ${items.join(' ')}`)

  news.on('said', text => log(`heard: ${text}`))
  await news.subscribe('all')
  await news.publish('all', 'said', 'the page')
  log('listening')

  const before = client.connectionId
  await becomes('waiting')
  const error = await rpc.add(1, 1).then(String, ({ code }) => code)
  log(`a call meanwhile: ${error}`)
  await becomes('connected')
  check(client.connectionId !== before, 'it is the same connection')
  check((await rpc.connectionId()) === client.connectionId, 'the connection is called otherwise')
  log(`3 + 4 = ${await rpc.add(3, 4)}`)
  await news.publish('all', 'said', 'the page again')
  log('listening again')
})

function becomes(wanted) {
  return new Promise(resolve => {
    const off = client.on('status', status => {
      if (status !== wanted) return
      off()
      resolve()
    })
  })
}
