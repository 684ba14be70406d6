/** What is fed with hostile input, and what must hold whatever that is. */
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { addressKey } from '../../src/actors/address-key.js'
import { readHello } from '../../src/actors/handshake.js'
import type { Codec, Frame } from '../../src/codec/codec.js'
import { json } from '../../src/codec/json.js'
import { json as jsonPortable } from '../../src/codec/json-portable.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { msgpack as msgpackPortable } from '../../src/codec/msgpack-portable.js'
import { text } from '../../src/codec/text.js'
import { CLOSE_CODES, SocketStreamError } from '../../src/errors.js'
import { KIND, KIND_MASK } from '../../src/protocol/envelope.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { SessionIdentity } from '../../src/sessions/identity.js'
import { engineio } from '../../src/transports/engine-io.js'
import { readBatch } from '../../src/transports/frame-batch.js'
import { type MemoryClientLink, type MemoryTransport, memory } from '../../src/transports/memory.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import { ws } from '../../src/transports/ws.js'
import {
  type Claim,
  type Damage,
  damaged,
  damages,
  jsonFrames,
  names,
  packedFrames,
  type RawRequest,
  type Return,
  requestsByHand,
  returns,
  textFrames,
  values,
} from './inputs.js'
import { openLinks } from './open-link.js'

/** One way in, and the check of one input: it rejects, or throws, when something does not hold. */
export interface Target<Input = unknown> {
  readonly name: string
  readonly inputs: fc.Arbitrary<Input>
  /** How many inputs one of these is. */
  size(input: Input): number
  run(input: Input): Promise<void> | void
  /** Throws when the inputs, some hundreds of them, have not come as far as they should. */
  reached(): void
  close(): Promise<void>
}

const nothing = async (): Promise<void> => undefined
const one = (): number => 1

function must(holds: boolean, what: string, seen?: unknown): asserts holds {
  if (!holds) throw new Error(seen === undefined ? what : `${what}: ${String(seen)}`)
}

// ---- codecs -------------------------------------------------------------------------------------

const shapes = new Map([[1, { id: 1, json: true, callbacks: true }]])
const CODECS: Record<string, () => Codec> = {
  msgpack: () => msgpack().open(shapes),
  'msgpack-portable': () => msgpackPortable().open(shapes),
  json: () => json().open(shapes),
  'json-portable': () => jsonPortable().open(shapes),
  text: () => text().open(shapes),
}

/** Decoders: a frame is read or refused with `BAD_FRAME`; what was read can be written, and read again. */
export function codecTarget(): Target<{ readonly codec: string; readonly frame: Frame }> {
  const open = new Map(Object.entries(CODECS).map(([name, make]) => [name, make()]))
  const of = (names: readonly string[], frames: fc.Arbitrary<Frame>) =>
    fc.record({ codec: fc.constantFrom(...names), frame: frames })
  return {
    name: 'codecs',
    inputs: fc.oneof(
      of(['msgpack', 'msgpack-portable'], packedFrames),
      of(['json', 'json-portable'], jsonFrames),
      of(['text'], textFrames),
    ),
    size: one,
    run({ codec: name, frame }) {
      const codec = open.get(name)
      must(codec !== undefined, 'there is no such codec', name)
      let envelope: ReturnType<Codec['decode']>
      let payload: unknown
      try {
        envelope = codec.decode(frame)
        payload = envelope.payload
      } catch (error) {
        must(error instanceof SocketStreamError && error.code === 'BAD_FRAME', 'a refusal has no code', error)
        return
      }
      must(!hasProto(payload), 'a payload has a key __proto__')
      must(({} as { polluted?: unknown }).polluted === undefined, 'the prototype of all objects was changed')
      // The text wire has no words for much of this, and those for browsers trust their server.
      if (name !== 'msgpack' && name !== 'json') return
      const { kind, service, id } = envelope
      const again = codec.decode(codec.encode(kind, service, id, payload))
      must(again.kind === kind && again.id === id, 'another envelope came back')
      void again.payload
    },
    reached: () => undefined,
    close: nothing,
  }
}

function hasProto(root: unknown): boolean {
  const waiting = [root]
  for (let at = waiting.pop(); waiting.length > 0 || at !== undefined; at = waiting.pop()) {
    if (at instanceof Set || Array.isArray(at)) waiting.push(...at)
    else if (at !== null && typeof at === 'object' && !ArrayBuffer.isView(at)) {
      if (Object.hasOwn(at, '__proto__')) return true
      waiting.push(...Object.values(at))
    }
  }
  return false
}

// ---- what names somebody ------------------------------------------------------------------------

type NameInput = { readonly name: string; readonly damage: Damage; readonly hello: unknown }

/** Cookies, tokens, hellos, addresses, batches: nobody is named but by what was signed here. */
export function nameTarget(): Target<NameInput> {
  const identity = new SessionIdentity({ secrets: ['new', 'old'], name: 'connect.sid' })
  const stranger = new SessionIdentity({ secrets: ['another'], name: 'connect.sid' })
  const id = 'an-id'
  const good = [identity.value(id), identity.token(id)]
  const forged = [
    stranger.value(id),
    stranger.token(id),
    identity.token(id).slice(2),
    `s:${identity.token(id).slice(2)}`,
  ]
  const check = (found: string | undefined, given: string): void => {
    if (found === undefined) return
    must(
      good.some(value => given.includes(value)),
      'somebody was named',
      given,
    )
    must(found === id, 'somebody else was named', found)
  }
  return {
    name: 'names',
    inputs: fc.record({ name: names, damage: damages, hello: values }),
    size: one,
    run({ name, damage, hello }) {
      for (const given of [name, ...good.map(value => damaged(value, damage)), ...forged]) {
        check(identity.fromValue(given), given)
        check(identity.fromToken(given), given)
        check(identity.fromHello({ auth: { session: given }, session: given }), given)
        const header = damaged(
          `a=b; connect.sid=${encodeURIComponent(Buffer.from(given).toString())}; c=d`,
          damage,
        )
        const found = identity.fromCookie(header)
        must(found === undefined || found === id, 'a cookie named somebody else', header)
        identity.hasCookie(name)
        identity.fromCookie(`connect.sid=${name}`)
      }
      must(
        forged.every(value => identity.fromHello({ auth: { session: value }, session: value }) === undefined),
        'a forgery passed',
      )
      try {
        readHello(hello)
      } catch (error) {
        must(error instanceof SocketStreamError, 'a hello was refused without a code', error)
      }
      addressKey(name)
      readBatch(Buffer.from(name))
    },
    reached: () => undefined,
    close: nothing,
  }
}

// ---- frames of a client -------------------------------------------------------------------------

type Conversation = {
  readonly protocol: 'ss1.json' | 'ss1.msgpack' | undefined
  readonly greets: 'resumably' | 'plainly' | 'not'
  readonly frames: readonly Frame[]
  /** Of those who greet resumably. */
  readonly returns: readonly Return[]
}

/** What a server may close a connection with when a client sends whatever it likes. */
const CLOSES: ReadonlySet<number> = new Set([1000, 1005, 1006, ...Object.values(CLOSE_CODES)])

function services<T extends Server>(app: T) {
  return app
    .service(
      'rpc',
      rpc({
        echo: (_ctx, value: unknown) => value,
        add: (_ctx, a: number, b: number) => a + b,
        async *stream(_ctx, to: number) {
          for (let at = 0; at < Math.min(Number(to) || 0, 50); at++) yield at
        },
        fail: () => {
          throw new SocketStreamError<string>('NO', 'no')
        },
        hang: ctx => new Promise<void>(resolve => ctx.signal.addEventListener('abort', () => resolve())),
        deep: {
          er(ctx: { session: { [key: string]: unknown } }, value: unknown) {
            ctx.session.x = value
          },
        },
      }),
    )
    .service('news', pubsub({ channels: { 'room:*': { history: { size: 5 } }, room: {} } } as never))
    .service('hidden', { private: true, server: () => undefined })
    .service('raw', {
      use: { json: true, callbacks: true },
      server(server) {
        server.onmessage = (message, _request, reply) => reply(message)
        server.onsubscribe = () => undefined
      },
    })
}

/** Conversations after the handshake: closed with a code or served on, and so is everybody else. */
export async function frameTarget(): Promise<Target<Conversation>> {
  const failures: unknown[] = []
  const transport = memory()
  const app = services(
    new Server({
      transport,
      env: 'production',
      textWire: true,
      log: failureLog(failures),
      sessions: { secret: 'fuzz' } as never,
      // Who does not come back leaves calls behind: few are waited for.
      resume: { connections: 10 },
      limits: { calls: 50, handshakesPerSecond: 1e9, handshakesPerAddress: 1e9 },
    }),
  )
  await app.start()
  const bystander = await bystanderOf(transport)
  const conversation = <F extends Frame>(protocols: Conversation['protocol'][], frames: fc.Arbitrary<F>) =>
    fc.record({
      protocol: fc.constantFrom(...protocols),
      greets: fc.constantFrom<Conversation['greets'][]>('resumably', 'resumably', 'plainly', 'not'),
      frames: fc.array(frames, { minLength: 1, maxLength: 12 }) as fc.Arbitrary<readonly Frame[]>,
      returns,
    })
  return {
    name: 'frames',
    inputs: fc.oneof(
      { weight: 4, arbitrary: conversation(['ss1.json', undefined], jsonFrames) },
      { weight: 4, arbitrary: conversation(['ss1.msgpack', undefined], packedFrames) },
      { weight: 1, arbitrary: conversation([undefined], textFrames) },
      {
        weight: 1,
        arbitrary: conversation(
          ['ss1.json', 'ss1.msgpack'],
          fc.oneof<fc.Arbitrary<Frame>[]>(jsonFrames, packedFrames, textFrames),
        ),
      },
    ),
    size: ({ frames }) => frames.length,
    async run({ protocol, greets, frames, returns }) {
      const client = new RawClient(transport, protocol)
      const caps = greets === 'resumably' ? ['resume'] : undefined
      await client.connect()
      if (greets !== 'not')
        client.send(client.codec.encode(KIND.HELLO, 0, 0, { v: 1, ...(caps && { caps }) }))
      let sent = 0
      for (const again of caps ? returns : []) {
        for (const frame of frames.slice(sent, sent + again.after)) client.send(frame)
        sent += again.after
        await bystander()
        await bystander()
        for (const call of again.calls) client.call(call)
        if (!again.isHasty) await bystander()
        if (!(await client.comeBack(again))) break
        await bystander()
        await bystander()
        client.checkReturn()
      }
      for (const frame of frames.slice(sent)) client.send(frame)
      await bystander()
      await bystander()
      for (const code of client.closes) must(CLOSES.has(code), 'closed without a code of ours', code)
      // Said well, it leaves nothing to wait for.
      if (caps) client.send(client.codec.encode(KIND.CLOSE, 0, 1000, { reason: '', reconnect: false }))
      client.cut()
      await bystander()
      must(failures.length === 0, 'the server failed', failures[0])
      const { connections, calls } = app.statistics()
      must(connections.links === 1, 'links are left behind', connections.links)
      must(calls.inFlight <= 1000, 'calls are left behind', calls.inFlight)
    },
    reached() {
      const { connections, bytes } = app.statistics()
      must(connections.resumed > 0, 'nobody has resumed')
      must(bytes.replayed > 0, 'nothing was sent again')
    },
    async close() {
      await app.stop({ drain: 0 })
    },
  }
}

/** Over one link after another: counts what it gets, and knows what its welcome said. */
class RawClient {
  readonly #transport: MemoryTransport
  #protocol: Conversation['protocol']
  #link!: MemoryClientLink
  #welcome: Record<string, unknown> | undefined
  /** The welcome before, and what was said of it. */
  #asked: { readonly welcome: Record<string, unknown>; readonly resume: Record<string, unknown> } | undefined
  #recv = 0
  #tries = 0
  #nextCall = 1001
  /** The codes that links of this were closed with. */
  readonly closes: number[] = []

  constructor(transport: MemoryTransport, protocol: Conversation['protocol']) {
    this.#transport = transport
    this.#protocol = protocol
  }

  get codec(): Codec {
    return this.#protocol === 'ss1.msgpack' ? MSGPACK : JSON_CODEC
  }

  async connect(): Promise<void> {
    const { codec } = this
    const link = await this.#transport.connect(
      this.#protocol === undefined ? {} : { protocols: [this.#protocol] },
    )
    this.#link = link
    link.listen({
      frame: frame => {
        // Clients of the text wire get something else.
        const kind = typeof frame === 'string' ? Number(/^\[(\d+)/.exec(frame)?.[1] ?? NaN) : frame[1]!
        if (this.#link !== link || Number.isNaN(kind)) return
        if ((kind & KIND_MASK) < KIND.HELLO) this.#recv++
        if (kind === KIND.WELCOME) this.#welcome = codec.decode(frame).payload as Record<string, unknown>
      },
      closed: code => void this.closes.push(code),
    })
  }

  send(frame: Frame): void {
    this.#link.send(frame)
  }

  call(payload: readonly unknown[]): void {
    this.send(this.codec.encode(KIND.CALL, 1, this.#nextCall, payload))
    this.#nextCall += 2
  }

  cut(): void {
    this.#link.terminate()
  }

  /** Loses the link and says hello on another; false where there is nothing to come back to. */
  async comeBack(again: Return): Promise<boolean> {
    const welcome = this.#welcome
    if (welcome === undefined) return false
    this.cut()
    const good = { token: String(welcome.token), session: String(welcome.session) }
    const resume = {
      token: again.token ? damaged(good.token, again.token) : good.token,
      try: claimed(this.#tries + 1, again.try),
      recv: claimed(this.#recv, again.recv),
    }
    const session = again.session ? damaged(good.session, again.session) : good.session
    this.#asked = { welcome, resume }
    this.#welcome = undefined
    this.#recv = Number(resume.recv)
    this.#tries = Number(resume.try)
    if (again.switches) this.#protocol = this.#protocol === 'ss1.msgpack' ? 'ss1.json' : 'ss1.msgpack'
    await this.connect()
    this.send(this.codec.encode(KIND.HELLO, 0, 0, { v: 1, caps: ['resume'], session, resume }))
    return true
  }

  /** Only the connection's own token goes on with it, by numbers that can be. */
  checkReturn(): void {
    const [now, asked] = [this.#welcome, this.#asked]
    if (now === undefined || asked === undefined) return
    if (now.resumed === true) {
      const { token, try: attempt, recv } = asked.resume
      must(now.cid === asked.welcome.cid, 'another connection was resumed')
      must(token === asked.welcome.token, 'a wrong token was taken', token)
      must(Number.isSafeInteger(attempt) && Number(attempt) > 0, 'a wrong try was taken', attempt)
      must(Number.isSafeInteger(recv) && Number(recv) >= 0, 'a wrong count was taken', recv)
    } else {
      must(now.cid !== asked.welcome.cid, 'a connection that was not resumed has come again')
      must(typeof now.reason === 'string', 'it is not said why nothing was resumed')
      this.#recv = 0
      this.#tries = 0
    }
  }
}

const MSGPACK = msgpack().open(new Map())
const JSON_CODEC = json().open(new Map())

const claimed = (right: number, claim: Claim): unknown =>
  'plus' in claim ? right + claim.plus : claim.instead

/** A client that behaves; each call of it resolves once it has been served. */
async function bystanderOf(transport: MemoryTransport): Promise<() => Promise<void>> {
  const link = await transport.connect({ protocols: ['ss1.json'] })
  let id = -1
  let heard: ((frame: string) => void) | undefined
  let lost: ((error: Error) => void) | undefined
  let gone: Error | undefined
  link.listen({
    frame(frame) {
      const text = String(frame)
      if (text.startsWith('[19')) link.send('[20,0]')
      heard?.(text)
    },
    closed(code, reason) {
      gone = new Error(`the bystander was closed with ${code}: ${reason}`)
      lost?.(gone)
    },
  })
  const next = (send: string, wanted: string) =>
    new Promise<void>((resolve, reject) => {
      if (gone !== undefined) return reject(gone)
      lost = reject
      heard = frame => {
        if (frame.startsWith(wanted)) resolve()
      }
      link.send(send)
    })
  await next('[16,{"v":1}]', '[17,')
  return () => {
    id += 2
    return next(`[1,1,${id},["add",1,2]]`, `[2,${id},3]`)
  }
}

/** A log that keeps what the server says has failed by itself. */
function failureLog(failures: unknown[]) {
  const ignore = (): void => undefined
  return {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (details: object, message: string) =>
      void failures.push(new Error(message, { cause: (details as { error?: unknown }).error })),
  }
}

// ---- HTTP ---------------------------------------------------------------------------------------

/** Requests over TCP to every transport: answered with no failure, or dropped; others are served. */
export async function httpTarget(): Promise<Target<RawRequest>> {
  const failures: unknown[] = []
  const place = { port: 0, host: '127.0.0.1', trustProxy: true, handshakeTimeout: 2000 }
  const first = ws({ ...place, perMessageDeflate: true })
  const app = services(
    new Server({
      transport: [first, sse(place), sockjs(place), engineio({ ...place, allowEIO3: true })],
      env: 'production',
      client: false,
      health: true,
      log: failureLog(failures),
      sessions: { secret: 'fuzz' } as never,
      limits: { handshakesPerSecond: 1e9, handshakesPerAddress: 1e9 },
    }),
  )
  await app.start()
  const port = app.address()!.port!
  const links = openLinks(port)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const bystander = () =>
    new Promise<void>((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/livez', agent }, response => {
        response.resume()
        response.once('end', () =>
          response.statusCode === 200
            ? resolve()
            : reject(new Error(`a bystander got ${response.statusCode}`)),
        )
      }).once('error', reject)
    })
  return {
    name: 'http',
    inputs: requestsByHand,
    size: one,
    async run(input) {
      const [place, name = ''] = /\{(\w+)\}/.exec(input.path) ?? []
      const link = place && (await links.get(name)?.name())
      const path = link ? input.path.replace(place, link) : input.path
      const answer = await answerTo(port, { ...input, path }, bystander)
      if (link) await bystander()
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
      // The SockJS protocol wants 500 for these.
      if (/\r\n(Payload expected|Broken JSON encoding|"callback" parameter|invalid "callback")/.test(answer))
        return
      must(answer === '' || status > 0, 'an answer is not HTTP', answer.slice(0, 80))
      must(
        status < 500 || status === 501 || status === 503 || status === 505,
        'the server failed',
        answer.slice(0, 200),
      )
      must(failures.length === 0, 'the server failed', failures[0])
    },
    reached() {
      const { connections, messages } = app.statistics()
      must(connections.welcomed > 0 && messages.in > 0, 'no message has come in')
      for (const [name, { answers }] of links) must(answers > 0, 'no call was answered over', name)
    },
    async close() {
      for (const link of links.values()) link.close()
      agent.destroy()
      await app.stop({ drain: 0 })
    },
  }
}

/** What came first on a socket, or nothing when it was closed, or others had been served meanwhile. */
async function answerTo(port: number, request: RawRequest, bystander: () => Promise<void>): Promise<string> {
  const { method, path, headers, body, lie } = request
  const bytes = Buffer.from(body)
  const framing =
    lie === undefined
      ? 'Transfer-Encoding: chunked\r\n'
      : bytes.length + lie > 0
        ? `Content-Length: ${bytes.length + lie}\r\n`
        : ''
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${lines}${framing}\r\n`,
    'latin1',
  )
  const rest = lie === undefined ? Buffer.from(`${bytes.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`) : bytes
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    return await new Promise<string>((resolve, reject) => {
      socket.once('data', chunk => resolve(chunk.toString('latin1')))
      socket.once('error', () => resolve(''))
      socket.once('close', () => resolve(''))
      socket.write(Buffer.concat([head, rest]), () => {
        // What is not answered by then waits for something that this client will not send.
        bystander()
          .then(bystander)
          .then(bystander)
          .then(() => resolve(''), reject)
      })
    })
  } finally {
    socket.destroy()
  }
}

/** All of them. */
export async function allTargets(): Promise<readonly Target[]> {
  return [codecTarget(), nameTarget(), await frameTarget(), await httpTarget()] as readonly Target[]
}
