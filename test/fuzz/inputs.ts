/**
 * What a hostile client could send: shaped like the real thing, wrong in places.
 *
 * Used by the tests, in short, and by `npm run fuzz`, at length.
 */
import fc from 'fast-check'

const KINDS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23]
const METHODS = [
  'echo',
  'add',
  'stream',
  'fail',
  'hang',
  'deep.er',
  'nothing',
  '__proto__',
  'constructor',
  '',
]
const KEYS = ['a', '', '__proto__', 'constructor', '$t', 'v', 'session', 'resume', 'toJSON', 'then']
const CHANNELS = ['room', 'room:1', 'a'.repeat(300), '\u0000', '*', '__proto__', '']

/** Mostly small, sometimes at the edges of what fits. */
export const integers = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 12 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(-1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32),
  },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 53, -(2 ** 53), 1.5, 1e308) },
)

const texts = fc.oneof(
  fc.constantFrom(...KEYS, ...METHODS, ...CHANNELS, '\ud800', '\u2028', 'x'.repeat(70_000)),
  fc.string({ unit: 'binary', maxLength: 12 }),
)

/** Values of JSON, tags of ours among them, right and wrong. */
const { value } = fc.letrec<{ value: unknown; list: unknown[]; object: object; tag: object }>(tie => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    { weight: 6, arbitrary: fc.oneof(integers, texts, fc.constantFrom(null, true, false)) },
    { weight: 2, arbitrary: tie('list') },
    { weight: 2, arbitrary: tie('object') },
    { weight: 1, arbitrary: tie('tag') },
  ),
  list: fc.array(tie('value'), { maxLength: 5 }),
  object: fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...KEYS), fc.string({ maxLength: 4 })), tie('value')), {
      maxLength: 4,
    })
    .map(entries => {
      // An own property of that name, as JSON.parse makes it.
      const made: Record<string, unknown> = {}
      for (const [key, member] of entries) {
        Object.defineProperty(made, key, {
          value: member,
          enumerable: true,
          configurable: true,
          writable: true,
        })
      }
      return made
    }),
  tag: fc
    .tuple(fc.constantFrom('u8', 'd', 'n', 'b', 's', 'o', 'x', 1), tie('value'))
    .map(([name, inner]) => ({ $t: [name, inner] })),
}))
export const values: fc.Arbitrary<unknown> = value

/** Payloads that services know, and others. */
const payloads = fc.oneof(
  fc.tuple(fc.constantFrom(...METHODS), value, value).map(parts => parts as unknown),
  fc
    .tuple(
      fc.constantFrom('subscribe', 'unsubscribe', 'history', 'publish'),
      fc.constantFrom(...CHANNELS),
      value,
    )
    .map(parts => parts as unknown),
  fc
    .record(
      { v: fc.constantFrom(1, 1, 1, 0, 2, 'x'), auth: value, session: texts, caps: value, resume: value },
      { requiredKeys: ['v'] },
    )
    .map(hello => hello as unknown),
  fc
    .record({
      v: fc.constant(1),
      resume: fc.record({ token: texts, try: integers, recv: integers }),
      caps: fc.constant(['resume']),
    })
    .map(hello => hello as unknown),
  value,
)

/** Frames as arrays: the right number of integers for a kind, or another. */
const envelopes = fc
  .tuple(
    fc.constantFrom(...KINDS),
    fc.constantFrom(0, 0, 0, 0x20, 0x40, 0x60, 0x80),
    fc.array(integers, { maxLength: 3 }),
    payloads,
    fc.boolean(),
  )
  .map(([kind, flags, ids, payload, extended]) => [
    kind | flags,
    ...ids,
    ...(extended ? [{ trace: 1, idempotencyKey: 'k' }] : []),
    payload,
  ])

/** Well-formed calls, messages and subscribes of a client, so that services are reached. */
const requests = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 4 }), payloads)
    .map(([id, service, payload]) => [1, service, id * 2 + 1, payload]),
  fc.tuple(fc.integer({ min: 0, max: 4 }), payloads).map(([service, payload]) => [0, service, payload]),
  fc
    .tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 99 }), fc.constantFrom(...CHANNELS))
    .map(([service, id, name]) => [9, service, id * 2 + 1, name]),
  fc.tuple(fc.integer({ min: 0, max: 99 }), value).map(([id, reason]) => [6, id * 2 + 1, reason]),
  fc.tuple(fc.integer({ min: 0, max: 99 }), integers).map(([id, credit]) => [7, id * 2 + 1, credit]),
)

const jsonText = (frames: fc.Arbitrary<unknown[]>): fc.Arbitrary<string> =>
  frames.map(frame => JSON.stringify(frame))

/** A text with a piece cut out, doubled or replaced. */
function spoilt(source: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    '',
    '[',
    ']',
    '{',
    '}',
    '"',
    ',',
    '\\',
    '\\u0000',
    '__proto__',
    '|',
    '9'.repeat(20),
    '\u0000',
  )
  return fc.tuple(source, fc.nat(), fc.nat(30), piece).map(([text, at, length, put]) => {
    const from = text.length === 0 ? 0 : at % text.length
    return text.slice(0, from) + put + text.slice(from + length)
  })
}

/** Frames of the JSON wire. */
export const jsonFrames = fc.oneof(
  { weight: 4, arbitrary: jsonText(requests) },
  { weight: 3, arbitrary: jsonText(envelopes) },
  { weight: 3, arbitrary: spoilt(jsonText(envelopes)) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 90, max: 3000 })
      .map(levels => `[1,1,1,${'['.repeat(levels)}${']'.repeat(levels)}]`),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
)

/** Frames of the text wire of 0.4. */
export const textFrames = fc.oneof(
  fc
    .tuple(integers, integers, value)
    .map(([service, id, payload]) => `${service}|${id}|${JSON.stringify(payload)}`),
  fc.tuple(integers, texts).map(([service, payload]) => `${service}|${payload}`),
  fc.tuple(texts, value).map(([id, auth]) => `0|connect|${JSON.stringify({ sessionId: id, auth })}`),
  spoilt(
    fc
      .tuple(integers, integers, value)
      .map(([service, id, payload]) => `${service}|${id}|${JSON.stringify(payload)}`),
  ),
)

// ---- msgpack, by hand: an encoder would not lie -------------------------------------------------

const bytes = (...numbers: number[]): Uint8Array => Uint8Array.from(numbers)
const join = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts)
const big = (marker: number, size: number): Uint8Array => {
  const made = Buffer.alloc(5)
  made[0] = marker
  made.writeUInt32BE(size, 1)
  return made
}
/** What a length says: the truth, or not. */
const lies = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  fc.constantFrom(1, -1, 0xff, 0xffff, 0xfffffff),
)
const length = (marker: number, truth: number, lie: number): Uint8Array =>
  big(marker, Math.max(0, truth + lie) >>> 0)

const packedScalars = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map(byte => bytes(byte)),
  integers.map(number => {
    const made = Buffer.alloc(9)
    made[0] = 0xcb
    made.writeDoubleBE(number, 1)
    return made as Uint8Array
  }),
  fc.integer({ min: 0, max: 127 }).map(number => bytes(number)),
  fc
    .tuple(texts, lies)
    .map(([text, lie]) => join([length(0xdb, Buffer.byteLength(text), lie), Buffer.from(text)])),
  fc
    .tuple(fc.uint8Array({ maxLength: 20 }), lies)
    .map(([raw, lie]) => join([length(0xc6, raw.length, lie), raw])),
  fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 12 }), lies)
    .map(([type, raw, lie]) => join([length(0xc9, raw.length, lie), bytes(type), raw])),
  fc
    .constantFrom(
      'd6ff00000001',
      'd7ffee6b280000000000',
      'd6690000000190',
      'd47240',
      'd57260',
      'd40101',
      'c1',
    )
    .map(hex => Buffer.from(hex, 'hex') as Uint8Array),
)
const { packed } = fc.letrec<{ packed: Uint8Array }>(tie => ({
  packed: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    { weight: 5, arbitrary: packedScalars },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.array(tie('packed'), { maxLength: 4 }), lies)
        .map(([items, lie]) => join([length(0xdd, items.length, lie), ...items])),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.array(fc.tuple(texts, tie('packed')), { maxLength: 3 }), lies)
        .map(([entries, lie]) =>
          join([
            length(0xdf, entries.length, lie),
            ...entries.flatMap(([key, item]) => [big(0xdb, Buffer.byteLength(key)), Buffer.from(key), item]),
          ]),
        ),
    },
    {
      weight: 1,
      arbitrary: fc.array(tie('packed'), { maxLength: 3 }).map(items => {
        const inner = join([bytes(0x90 | items.length), ...items])
        return join([big(0xc9, inner.length), bytes(1), inner])
      }),
    },
  ),
}))
const packedId = fc.oneof(
  fc.integer({ min: 0, max: 127 }).map(id => bytes(id)),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(id => big(0xce, id)),
  packedScalars,
)

/** Frames of the msgpack wire. */
export const packedFrames = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom(...KINDS), fc.array(packedId, { maxLength: 3 }), packed, lies)
      .map(([kind, ids, payload, lie]) =>
        join([bytes(0x90 | ((ids.length + 2 + lie) & 15), kind), ...ids, payload]),
      ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom('91', '81a161', 'dd00000001', 'c9000000030191'),
        fc.integer({ min: 90, max: 3000 }),
      )
      .map(
        ([unit, levels]) =>
          Buffer.concat([
            Buffer.from('94010101', 'hex'),
            Buffer.from(unit.repeat(levels), 'hex'),
          ]) as Uint8Array,
      ),
  },
)

// ---- what names somebody ------------------------------------------------------------------------

/** How to spoil a value that is good: where, and what is put there. */
export const damages = fc.record({
  at: fc.nat(),
  put: fc.constantFrom(
    '',
    'x',
    '.',
    ':',
    '%',
    '%2',
    '=',
    ';',
    ',',
    ' ',
    '"',
    '\u0000',
    '\u00e9',
    's:',
    't:',
    'A'.repeat(5000),
  ),
  cut: fc.nat(3),
})
export type Damage = { readonly at: number; readonly put: string; readonly cut: number }

/** Does so. */
export function damaged(text: string, { at, put, cut }: Damage): string {
  const from = at % (text.length + 1)
  return text.slice(0, from) + put + text.slice(from + cut)
}

/** Texts for tokens and cookies that were never good. */
export const names = fc.oneof(
  texts,
  fc
    .tuple(
      fc.constantFrom('s:', 't:', 's%3A', '', 's:s:'),
      fc.string({ maxLength: 30 }),
      fc.string({ maxLength: 50 }),
    )
    .map(([kind, id, signature]) => `${kind}${id}.${signature}`),
)

// ---- who comes back -----------------------------------------------------------------------------

/** A number of a hello: beside the right one, or another value. */
export type Claim = { readonly plus: number } | { readonly instead: unknown }

/** A link is cut, and the client comes back on another one. */
export interface Return {
  /** How many frames go over the link before it is cut. */
  readonly after: number
  /** Good calls behind them, so that there is something to go on with. */
  readonly calls: readonly (readonly unknown[])[]
  /** Whether the link is cut before their answers have come. */
  readonly isHasty: boolean
  readonly try: Claim
  readonly recv: Claim
  readonly token: Damage | null
  readonly session: Damage | null
  /** Whether it comes back with the other codec. */
  readonly switches: boolean
}

const claims: fc.Arbitrary<Claim> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ plus: 0 }) },
  { weight: 4, arbitrary: fc.constantFrom({ plus: -1 }, { plus: 1 }) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(
        ...[2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e308, -1, -(2 ** 31), 1.5],
        ...['1', '', null, true, [1], {}],
      )
      .map(instead => ({ instead: instead as unknown })),
  },
)
const rarely = fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: damages })

/** Mostly well, so that connections go on. */
export const returns: fc.Arbitrary<readonly Return[]> = fc.array(
  fc.record({
    after: fc.constantFrom(0, 0, 0, 1, 2, 6),
    calls: fc.array(
      fc.constantFrom<(readonly unknown[])[]>(
        ['echo', 'x'],
        ['stream', 3],
        ['stream', 50],
        ['fail'],
        ['hang'],
      ),
      { maxLength: 3 },
    ),
    isHasty: fc.boolean(),
    try: claims,
    recv: claims,
    token: rarely,
    session: rarely,
    switches: fc.constantFrom(false, false, false, true),
  }),
  { maxLength: 2 },
)

// ---- HTTP ---------------------------------------------------------------------------------------

/** A request by hand. */
export interface RawRequest {
  readonly method: string
  /** `{sse}`, `{engineio}` or `{sockjs}` in it stands for the name of a link that is open. */
  readonly path: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  /** What the length says beyond the truth; undefined: chunked. */
  readonly lie: number | undefined
}

const paths = fc.oneof(
  fc.constantFrom(
    '/',
    '/?protocol=ss1.json',
    '/sse',
    '/sse?protocol=ss1.json',
    '/sse?protocol=x,y',
    '/sse?link=nobody',
    '/readyz',
    '/socketstream/client.js',
  ),
  fc.constantFrom(
    '/sockjs',
    '/sockjs/',
    '/sockjs/info',
    '/sockjs/iframe.html',
    '/sockjs/websocket',
    '/sockjs/a/b/c/d',
  ),
  fc
    .tuple(
      fc.nat(9),
      fc.string({ minLength: 1, maxLength: 3 }).map(encodeURIComponent),
      fc.constantFrom(
        'xhr',
        'xhr_send',
        'xhr_streaming',
        'eventsource',
        'htmlfile?c=a',
        'jsonp?c=%3Cscript',
        'jsonp_send',
        'websocket',
      ),
    )
    .map(([server, session, way]) => `/sockjs/${server}/${session}/${way}`),
  fc
    .tuple(
      fc.constantFrom('3', '4', '5', ''),
      fc.constantFrom('polling', 'websocket', 'x'),
      fc.constantFrom('', 'nobody', '__proto__'),
    )
    .map(([eio, transport, sid]) => `/engine.io/?EIO=${eio}&transport=${transport}${sid && `&sid=${sid}`}`),
  fc.webPath().map(path => path || '/'),
  fc.constantFrom('*', 'http://x/', '//', '/%', '/%00', '/?%', `/${'a'.repeat(9000)}`, '/../../etc/passwd'),
)
const headerValues = fc.oneof(
  fc.constantFrom(
    '',
    'null',
    'http://localhost',
    'https://evil.example',
    '::1',
    'unknown',
    'a, b, c',
    '\u00e9',
    'x'.repeat(20_000),
  ),
  fc.string({ maxLength: 20 }).map(text => text.replaceAll(/[\r\n\0]/g, '')),
)
const headers = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      'Origin',
      'Cookie',
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'Sec-Fetch-Site',
      'Content-Type',
      'Transfer-Encoding',
      'Expect',
      'Accept',
      'Sec-WebSocket-Protocol',
      'Sec-WebSocket-Extensions',
      'Access-Control-Request-Headers',
      'Range',
    ),
    headerValues,
  ),
  fc.constantFrom<[string, string]>(
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Version', '99'],
    ['Cookie', 'connect.sid=s%3Ax.y'],
    ['Cookie', 'connect.sid=%E0%A4%A'],
    ['X-Forwarded-For', '2001:db8::1, unknown, 10.0.0.1'],
    ['Accept', 'text/event-stream'],
    ['Content-Type', 'application/x-www-form-urlencoded'],
    ['Content-Type', 'text/plain; charset=utf-7'],
    ['Content-Encoding', 'gzip'],
  ),
)
const UPGRADE: RawRequest['headers'] = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Version', '13'],
]
const bodies = fc.oneof(
  fc.constant(''),
  fc
    .array(
      fc.oneof(
        jsonFrames.map(frame => `t${frame}`),
        fc.base64String({ maxLength: 20 }).map(text => `b${text}`),
        fc.constantFrom('c1000 ', 'c9999 x', 'c', '', 'x'),
      ),
      { maxLength: 4 },
    )
    .map(batch => JSON.stringify(batch)),
  fc.array(jsonFrames, { maxLength: 3 }).map(batch => JSON.stringify(batch)),
  jsonFrames.map(frame => `d=${encodeURIComponent(JSON.stringify([Buffer.from(frame).toString()]))}`),
  fc
    .array(
      fc.tuple(fc.integer({ min: 0, max: 9 }), jsonFrames).map(([type, frame]) => `${type}${frame}`),
      { maxLength: 3 },
    )
    .map(packets => packets.join('\u001e')),
  fc.tuple(integers, jsonFrames).map(([size, frame]) => `${size}:${frame}`),
  fc.string({ unit: 'binary', maxLength: 50 }),
)

/** Frames for a client that was welcomed, mostly of a form that leaves its link open. */
const framesWithin = fc.oneof(
  { weight: 3, arbitrary: jsonText(requests) },
  { weight: 1, arbitrary: jsonFrames },
)
const batches = <T>(items: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(items, { minLength: 1, maxLength: 4 })
const mostly = <T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: other })
const base64 = packedFrames.map(frame => `b${Buffer.from(frame).toString('base64')}`)

const linked = (path: fc.Arbitrary<string>, body: fc.Arbitrary<string>): fc.Arbitrary<RawRequest> =>
  fc.record({
    method: fc.constant('POST'),
    path,
    headers: mostly(fc.constant<RawRequest['headers']>([]), fc.array(headers, { maxLength: 2 })),
    body: fc.oneof({ weight: 8, arbitrary: body }, { weight: 1, arbitrary: spoilt(body) }),
    lie: mostly<number | undefined>(fc.constant(0), fc.constantFrom(5, -1, undefined)),
  })

/** Requests that bring frames to open links. */
const posts = fc.oneof(
  linked(
    fc
      .constantFrom('', '', '', '&from=0', '&from=1', '&from=-1', '&from=x')
      .map(from => `/sse?link={sse}${from}`),
    batches(
      mostly(
        framesWithin.map(frame => `t${frame}`),
        fc.oneof(base64, fc.constantFrom('c1000 ', 'c9999 x', 'c', '')),
      ),
    ).map(batch => JSON.stringify(batch)),
  ),
  linked(
    fc.constantFrom('4', '4', '4', '3').map(eio => `/engine.io/?EIO=${eio}&transport=polling&sid={engineio}`),
    batches(
      mostly(
        framesWithin.map(frame => `4${frame}`),
        fc.oneof(base64, fc.constantFrom('1', '2', '2probe', '3', '5', '6', '0{}', '9', '')),
      ),
    ).map(packets => packets.join('\u001e')),
  ),
  fc.oneof(
    {
      weight: 4,
      arbitrary: linked(
        fc.constant('/sockjs/0/{sockjs}/xhr_send'),
        batches(framesWithin).map(batch => JSON.stringify(batch)),
      ),
    },
    {
      weight: 1,
      arbitrary: linked(
        fc.constant('/sockjs/0/{sockjs}/jsonp_send'),
        batches(framesWithin).map(
          batch => `d=${encodeURIComponent(Buffer.from(JSON.stringify(batch)).toString())}`,
        ),
      ),
    },
  ),
)

const anywhere: fc.Arbitrary<RawRequest> = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'POST', 'POST', 'OPTIONS', 'HEAD', 'PUT', 'TRACE', 'BREW'),
    path: paths,
    headers: fc.array(headers, { maxLength: 4 }),
    upgrades: fc.constantFrom(true, false, false),
    body: bodies,
    lie: fc.constantFrom(0, 0, 0, 5, -1, undefined),
  })
  .map(({ upgrades, ...request }) =>
    upgrades ? { ...request, headers: [...UPGRADE, ...request.headers] } : request,
  )

/** Requests to all transports over HTTP, of their forms and beside them, and to links that are open. */
export const requestsByHand: fc.Arbitrary<RawRequest> = fc.oneof(
  { weight: 2, arbitrary: anywhere },
  { weight: 1, arbitrary: posts },
)
