import { spawn } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'

const WATCHDOG = new URL('../../scripts/fuzz/watchdog.js', import.meta.url).href

/** What a process says that is watched, and how it ends. */
function watched(body: string): Promise<{ text: string; signal: string | null }> {
  const code = `
    import { Worker } from 'node:worker_threads'
    const progress = new Int32Array(new SharedArrayBuffer(4))
    globalThis.fuzzing = () => 'the sixth input'
    const worker = new Worker(new URL(${JSON.stringify(WATCHDOG)}), { workerData: { progress, seconds: 0.2 }, execArgv: [] })
    worker.once('online', () => { ${body} })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: new URL('.', pathToFileURL(import.meta.filename)),
    timeout: 15_000,
  })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk
  })
  return new Promise(resolve => child.once('close', (_code, signal) => resolve({ text, signal })))
}

test.concurrent.each([
  ['never comes back', 'function spins() { for (let n = 0; ; n++) if (n < 0) return }; spins()'],
  ['waits for ever', 'setInterval(() => {}, 1000)'],
])('an input that %s is named, and ends the run', async (_, body) => {
  const { text, signal } = await watched(body)
  expect(text).toContain('no input has ended for')
  expect(text).toContain('the input: the sixth input')
  if (body.includes('spins')) expect(text).toContain('at spins')
  expect(signal).toBe('SIGKILL')
})

test.concurrent('inputs that end are left alone, however many', async () => {
  const { text, signal } = await watched(`
    const until = process.cpuUsage().user + 600_000
    const next = () => {
      for (let n = 0; n < 1e5; n++) Atomics.add(progress, 0, 1)
      if (process.cpuUsage().user < until) setImmediate(next)
      else process.exit(0)
    }
    next()`)
  expect({ text, signal }).toEqual({ text: '', signal: null })
})
