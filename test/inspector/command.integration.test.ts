import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { HELP, readArguments } from '../../src/cli/arguments.js'
import { screen } from '../../src/cli/screen.js'
import { rpc } from '../../src/services/rpc/rpc.js'
import { cleanup, inspected } from './support.js'

const COMMAND = fileURLToPath(new URL('../../dist/cli/socketstream.js', import.meta.url))
const TOKEN = 'a-token-of-some-length'

function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [COMMAND, ...args], { env: { ...process.env, ...env } })
  cleanup(() => child.kill('SIGKILL'))
  return child
}

async function finished(args: readonly string[], env?: Record<string, string>) {
  const child = run(args, env)
  const [out, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { out, complaint, code }
}

describe('socketstream inspect', () => {
  test('prints once and ends, as text or as JSON', async () => {
    const { app, start } = inspected()
    const { origin } =
      (await app.service('rpc', rpc({ add: (_ctx, a: number, b: number) => a + b }))) && (await start())
    app.spawn('worker', { receive() {} })
    const [asText, asJson] = await Promise.all([
      finished(['inspect', origin, '--once']),
      finished(['inspect', `${origin}/_inspector/`, '--once', '--json']),
    ])
    expect(asText).toMatchObject({ code: 0, complaint: '' })
    expect(asText.out).toContain('connections 0   sessions 0   actors ')
    expect(asText.out).toMatch(/^app +supervisor/m)
    expect(asText.out).toMatch(/^ {2}worker +behaviour +0 +0/m)
    expect(JSON.parse(asJson.out)).toMatchObject({
      kind: 'socketstream-snapshot',
      hello: { services: ['rpc'] },
    })
  })

  test('follows, a line a second, until it is told to end', async () => {
    const { app, start } = inspected({ auth: TOKEN })
    const { origin } = await start()
    app.spawn('worker', { receive() {} })
    const child = run(['inspect', origin, '--json'], { SOCKETSTREAM_TOKEN: TOKEN })
    let out = ''
    child.stdout.setEncoding('utf8')
    for await (const chunk of child.stdout) {
      out += chunk
      if (out.split('\n').length > 2) break
    }
    child.kill('SIGTERM')
    const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
    expect(code).toBe(0)
    const [first, second] = out
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(first.point.actors).toBe(app.actors.counters.actors)
    expect(second.point.messagesIn).toBe(0)
  })

  test('says what is wrong, and ends with 1 or 2', async () => {
    const { start } = inspected({ auth: TOKEN })
    const { origin } = await start()
    const [refused, nothing] = await Promise.all([
      finished(['inspect', origin, '--once']),
      finished(['inspect']),
    ])
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.complaint).toContain(
      'answers 401: log in, or send Authorization: Bearer <token>; give its token with --token',
    )
    expect(nothing).toMatchObject({ code: 2, out: '' })
    expect(nothing.complaint).toContain('inspect takes one URL')
  })
})

test.each([
  [['inspect', 'http://a:1'], { url: 'http://a:1/_inspector', once: false, json: false, token: undefined }],
  [['inspect', 'a:1', '--once'], { url: 'http://a:1/_inspector', once: true }],
  [
    ['inspect', 'https://a/ops/look/', '--token', 't', '--json'],
    { url: 'https://a/ops/look', token: 't', json: true },
  ],
  [['--help'], HELP],
  [[], HELP],
])('arguments %j are read', (args, wanted) => {
  const read = readArguments(args, {})
  if (typeof wanted === 'string') expect(read).toBe(wanted)
  else expect(read).toMatchObject(wanted)
})

test.each([
  [['look', 'http://a']],
  [['inspect', 'ftp://a']],
  [['inspect', 'http://a', 'b']],
  [['inspect', 'http://a', '--verbose']],
])('arguments %j are refused', args => expect(readArguments(args, {})).toMatch(/^socketstream: /))

test('what clients have sent does nothing to the terminal', () => {
  const row = {
    path: '/app/x',
    name: 'evil\u001b[2J\u202e\n',
    kind: 'behaviour',
    depth: 0,
    handled: 0,
    restarts: 0,
    children: 0,
    actions: [],
  } as const
  const page = { rows: [], total: 0, offset: 0 }
  const printed = screen({
    hello: { pid: 1, node: 'v20', startedAt: 0, now: 1000 } as never,
    overview: { points: [], totals: {} as never, depthOf: { looked: 0, actors: 0 } },
    tree: [{ level: 0, row }],
    services: [],
    connections: page,
    deadLetters: page,
    log: page,
  })
  expect(printed).toContain('evil·[2J··')
  expect(printed.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
})
