// Writes one entry after the other to the folder given; says each once its write has resolved.
import { writeSync } from 'node:fs'
import { lmdb } from 'socketstream-server/engines/lmdb'

const { kv } = lmdb({ path: process.argv[2] })
for (let count = 1; ; count++) {
  const version = await kv.set(`key ${count}`, Buffer.from(`value ${count}`))
  writeSync(1, `${count} ${version}\n`)
}
