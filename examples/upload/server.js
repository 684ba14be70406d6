// @ts-check
/** Starts the example: `node examples/upload/server.js`, or with `PORT=8080` or `FOLDER=/where/files/go` before it. */
import { mkdir, mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from './app.js'
import { folderStorage } from './storage.js'

const folder = process.env.FOLDER ?? (await mkdtemp(join(tmpdir(), 'uploads-')))
await mkdir(folder, { recursive: true })
const server = createServer()
const app = await createApp({ server, storage: folderStorage(folder), handleSignals: true })
await app.start()

server.once('error', error => {
  console.error(error.message)
  process.exit(1)
})

server.listen(Number(process.env.PORT || 3000), () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`Uploads: http://localhost:${port}, stored in ${folder} (stop it with Ctrl+C)`)
})
