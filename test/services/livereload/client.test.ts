import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { livereloadClient } from '../../../src/services/livereload/client.js'
import type { ServiceClient } from '../../../src/services/service.js'

afterEach(() => vi.unstubAllGlobals())

function start() {
  const service = { onmessage: undefined } as unknown as ServiceClient
  const api = livereloadClient.client(service)
  return { api, receive: (message: unknown) => service.onmessage?.(message) }
}

describe('in a browser', () => {
  let reloads = 0
  let looks = 0

  beforeEach(() => {
    reloads = 0
    looks = 0
    vi.stubGlobal('location', { origin: 'http://localhost', reload: () => reloads++ })
    vi.stubGlobal('document', {
      querySelectorAll: () => {
        looks++
        return []
      },
    })
  })

  test('the page is reloaded once', () => {
    const { receive } = start()
    receive({ reload: true })
    receive({ reload: true })
    receive({ css: ['a.css'] })
    expect([reloads, looks]).toEqual([1, 0])
  })

  test('a page without style sheets stays as it is when one changes', () => {
    const { receive } = start()
    receive({ css: ['a.css'] })
    expect([reloads, looks]).toEqual([0, 1])
  })

  test('a listener prevents by false, and by nothing else', () => {
    const { api, receive } = start()
    const heard: unknown[] = []
    const offs = [
      api.on('css', paths => heard.push(paths) < 0),
      api.on('reload', () => heard.push('reload') < 0),
    ]
    receive({ css: ['a.css'] })
    receive({ reload: true })
    expect([heard, reloads, looks]).toEqual([[['a.css'], 'reload'], 0, 0])
    for (const off of offs) off()
    api.on('reload', () => undefined)
    receive({ css: ['a.css'] })
    receive({ reload: true })
    expect([heard.length, reloads, looks]).toEqual([2, 1, 1])
  })

  test('a listener that throws is reported, and prevents nothing', async () => {
    const { api, receive } = start()
    const reported: unknown[] = []
    vi.stubGlobal('queueMicrotask', (run: () => void) => {
      try {
        run()
      } catch (error) {
        reported.push(error)
      }
    })
    const error = new Error('a bug')
    api.on('reload', () => {
      throw error
    })
    receive({ reload: true })
    expect([reloads, reported]).toEqual([1, [error]])
  })

  test.each([[null], [undefined], ['reload'], [1], [[]], [{}], [{ css: 'a.css' }], [{ reload: 'yes' }]])(
    '%j means nothing',
    message => {
      const { receive } = start()
      receive(message)
      expect([reloads, looks]).toEqual([0, 0])
    },
  )
})

test('outside of browsers only listeners are told', () => {
  const { api, receive } = start()
  const heard: unknown[] = []
  api.on('css', paths => heard.push(paths))
  api.on('reload', () => heard.push('reload'))
  receive({ css: ['a.css'] })
  receive({ reload: true })
  expect(heard).toEqual([['a.css'], 'reload'])
})
