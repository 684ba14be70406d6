import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type ClientBuildOptions, planClient } from '../../src/browser/plan.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { engineio } from '../../src/transports/engine-io.js'
import { memory } from '../../src/transports/memory.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'

const [WS, ENGINEIO, SOCKJS] = [ws({ port: 0, path: '/rt' }), engineio({ port: 0 }), sockjs({ port: 0 })]
const FILE = join(import.meta.dirname, 'half.js')

function plan(
  options: ClientBuildOptions = {},
  services: Record<string, ServiceDefinition> = {},
  transports: Transport[] = [WS],
) {
  const named = Object.entries(services).map(([name, definition]) => ({ name, definition }))
  return planClient(transports, named, options)
}

describe('the plan of a client', () => {
  test('has the transports of the server, in its order and at its paths', () => {
    const { transports } = plan({}, {}, [memory(), SOCKJS, WS, ENGINEIO, ws({ port: 0, path: '/second' })])
    expect(transports.map(({ name, path, binary }) => [name, path, binary])).toEqual([
      ['sockjs', '/sockjs', false],
      ['ws', '/rt', true],
      ['engineio', '/engine.io', true],
    ])
    const chosen = plan({ transports: ['engineio', 'ws', 'engineio'] }, {}, [WS, ENGINEIO, SOCKJS])
    expect(chosen.transports.map(({ name }) => name)).toEqual(['engineio', 'ws'])
  })

  test('has msgpack where one of the transports carries bytes', () => {
    expect(plan().codec).toBe('msgpack')
    expect(plan({}, {}, [SOCKJS]).codec).toBe('json')
    expect(plan({}, {}, [SOCKJS, WS]).codec).toBe('msgpack')
    expect(plan({ codec: 'json' }).codec).toBe('json')
    expect(plan({ transports: ['sockjs'] }, {}, [SOCKJS, WS]).codec).toBe('json')
  })

  test('has the halves of public services that are not built in', () => {
    const { services } = plan(
      {},
      {
        rpc: rpc({ one: () => 1 }),
        news: pubsub(),
        bare: { server: () => {} },
        own: { type: 'own', clientModule: { url: pathToFileURL(FILE) } },
        named: { client: () => 1, clientModule: { url: FILE, export: '$half_1' } },
        text: { clientModule: { url: pathToFileURL(FILE).href } },
        hidden: { private: true, client: () => 1 },
        // Its own half in place of the standard one.
        other: { ...rpc({ one: () => 1 }), client: () => 1, clientModule: { url: FILE } },
      },
    )
    expect(services).toEqual([
      { name: 'rpc', type: 'rpc', half: undefined },
      { name: 'news', type: 'pubsub', half: undefined },
      { name: 'bare', type: 'custom', half: undefined },
      { name: 'own', type: 'own', half: { file: FILE, name: 'default' } },
      { name: 'named', type: 'custom', half: { file: FILE, name: '$half_1' } },
      { name: 'text', type: 'custom', half: { file: FILE, name: 'default' } },
      { name: 'other', type: 'rpc', half: { file: FILE, name: 'default' } },
    ])
  })

  test.for<[string, ServiceDefinition]>([
    ['an inline half', { client: () => 1 }],
    ['a type of its own', { type: 'own', server: () => {} }],
    ['a half of its own in place of a standard one', { ...rpc({}), client: () => 1 }],
    ['a type that objects inherit', { type: 'constructor' }],
  ])('refuses a service with %s that is in no file', ([, definition]) => {
    expect(() => plan({}, { mine: definition })).toThrow(
      expect.objectContaining({
        code: 'SERVICE_HALF_MISSING',
        message: expect.stringContaining(
          "give the definition clientModule: { url: new URL('./my-client.js', import.meta.url) }",
        ),
      }),
    )
    expect(plan({ services: [] }, { mine: definition }).services).toEqual([])
  })

  test.for<[unknown, string]>([
    [null, 'buildClient() takes an object'],
    [{ codecs: 'json' }, 'there is no option `codecs` of buildClient(); give one of transports, codec'],
    [{ minify: 1 }, '`minify` must be true or false'],
    [{ codec: 'yaml' }, "`codec` must be 'msgpack' or 'json'"],
    [{ transports: 'ws' }, '`transports` must be a list of names'],
    [{ transports: [] }, '`transports` must be a list of names'],
    [{ transports: [WS] }, '`transports` must be a list of names'],
    [{ transports: ['sockjs'] }, '`transports` names "sockjs", which browsers cannot use here'],
    [{ transports: ['__proto__'] }, '`transports` names "__proto__"'],
    [{ services: 'rpc' }, '`services` must be a list of names'],
    [{ services: ['nobody'] }, '`services` names "nobody"; the public services are: rpc'],
    [{ services: ['hidden'] }, '`services` names "hidden"; the public services are: rpc'],
  ])('refuses %j', ([options, message]) => {
    const services = { rpc: rpc({}), hidden: { private: true } }
    expect(() => plan(options as ClientBuildOptions, services)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
    )
  })

  test('refuses msgpack over text, and servers that no browser can reach', () => {
    expect(() => plan({ codec: 'msgpack' }, {}, [SOCKJS])).toThrow('the chosen transports carry text only')
    expect(() => plan({}, {}, [memory()])).toThrow('no transport of this server has a half for browsers')
  })

  test.for([
    'half.js',
    './half.js',
    'https://example.com/half.js',
    new URL('data:,x'),
    { href: FILE },
    undefined,
  ])('refuses %s as a file', url => {
    expect(() => plan({}, { mine: { clientModule: { url: url as string } } })).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('`clientModule.url` of service "mine" must be a file'),
      }),
    )
  })

  test.for(['', 'a-b', '1', 'x as y', 'a}', 7])('refuses %s as the name of an export', name => {
    const clientModule = { url: FILE, export: name as string }
    expect(() => plan({}, { mine: { clientModule } })).toThrow('must be the name of an export')
  })
})
