import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { expect, test, vi } from 'vitest'
import type { ServiceDefinition } from '../../src/services/service.js'
import { ws } from '../../src/transports/ws.js'
import { afterwards, likeBrowser, load, serve } from '../browser/support.js'
import type { Loose } from './classic-client.js'

const required = createRequire(import.meta.url)
const service = (name: string): ServiceDefinition => required(`./services/${name}.cjs`)()

/** A client as a page gets it, connected. */
async function page(services: Readonly<Record<string, ServiceDefinition>>) {
  likeBrowser()
  const { app, origin } = await serve(server => [ws({ server })], services)
  const { createClient } = await load((await app.buildClient()).code, origin)
  const client = createClient()
  afterwards(() => client.close())
  await client.connect()
  return { app: app as { api: Loose }, api: client.api as Loose }
}

test('a half is found where it was required, and may be an event emitter', async () => {
  const { app, api } = await page({ news: service('news') })
  const heard = new Promise(resolve => api.news.on('hello', resolve))
  app.api.news.all('hello', 'everybody', 2)
  expect(await heard).toEqual(['everybody', 2])
  expect(api.news).not.toBeInstanceOf(EventEmitter)
})

test('a half may be a stream', async () => {
  const { app, api } = await page({ stream: service('stream') })
  const heard = new Promise<Uint8Array>(resolve => api.stream.on('data', resolve))
  app.api.stream.write('down')
  expect(new TextDecoder().decode(await heard)).toBe('down')
  const up = new Promise(resolve => app.api.stream.once('data', resolve))
  api.stream.write('up')
  expect(String(await up)).toBe('up')
})

test('a half may be a function, and knows what it is', async () => {
  const { api } = await page({ echo: service('echo') })
  expect(await new Promise(resolve => api.echo({ do: 'reply', value: 1 }, resolve))).toEqual({ you: 1 })
  expect(api.echo.client).toMatchObject({ name: 'echo', options: {}, private: false })
})

test('a half may touch the window', async () => {
  const reload = vi.fn()
  const client = required('./services/reload-client.cjs')
  const { app, api } = await page({
    reload: { client, server: ({ broadcast }) => ({ reload: () => broadcast('reload') }) },
  })
  expect(api.reload).toBeUndefined()
  const reloaded = new Promise<void>(resolve => reload.mockImplementation(resolve))
  vi.stubGlobal('window', { location: { reload } })
  app.api.reload.reload()
  await reloaded
  expect(reload).toHaveBeenCalledOnce()
})
