import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const executable = process.env.REDIS_SERVER_PATH || '/usr/bin/redis-server'
/** Milliseconds that it may take to be ready. */
const PATIENCE = 10_000

/** Why there is no Redis server on this machine; undefined if there is one. */
export function noRedis() {
  return existsSync(executable) ? undefined : `no redis-server at ${executable}`
}

/**
 * Starts a Redis server on a free port of the loopback, which keeps nothing on disk.
 *
 * @returns {Promise<{ port: number, stop(): void }>}
 */
export async function startRedis() {
  const dir = mkdtempSync(join(tmpdir(), 'redis-'))
  const port = await freePort()
  const options = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(executable, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const stop = () => {
    process.off('exit', stop)
    child.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
  process.once('exit', stop)
  try {
    await ready(child)
    return { port, stop }
  } catch (error) {
    stop()
    throw error
  }
}

/** @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, null>} child */
function ready(child) {
  return new Promise((resolve, reject) => {
    let output = ''
    const fail = () => {
      clearTimeout(timer)
      reject(new Error(`redis-server did not start: ${output}`))
    }
    const timer = setTimeout(fail, PATIENCE)
    child.once('error', fail)
    child.once('exit', fail)
    child.stdout.on('data', chunk => {
      output += chunk
      if (!output.includes('Ready to accept connections')) return
      clearTimeout(timer)
      resolve(undefined)
    })
  })
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
  probe.close()
  await once(probe, 'close')
  return port
}
