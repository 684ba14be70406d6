// Publishes one entry after the other to the folder given; says each once it has resolved.
import { writeSync } from 'node:fs'
import { lmdb } from 'socketstream-server/engines/lmdb'

const { log } = lmdb({ path: process.argv[2] })
for (let count = 1; ; count++) {
  const { epoch, offset } = await log.publish('a', Buffer.from(`entry ${count}`), { size: 1_000_000 })
  writeSync(1, `${offset} ${epoch}\n`)
}
