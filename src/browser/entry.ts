import type { ClientPlan, PlannedTransport } from './plan.js'

/** What precedes the name of a service where the entry imports its half. */
export const HALF_PREFIX = 'client-half:'

/**
 * The source of the module that is bundled.
 *
 * It names no file outside the package, as it ends up in the source map.
 *
 * @param extension of the package's modules: `.js` as built, `.ts` from the sources
 */
export function entrySource({ transports, codec, services }: ClientPlan, extension: '.js' | '.ts'): string {
  const file = (path: string): string => quote(`./${path}${extension}`)
  const client = file(codec === 'json' ? 'client/json' : 'client/index')
  const halves = services.flatMap(({ name, half }) => (half === undefined ? [] : [{ name, half }]))
  const way = transports.length === 1 ? single(transports[0]!) : several(transports, codec)
  const imports = [
    `import { createClient as create } from ${client}`,
    `import { addressOf } from ${file('client/page-address')}`,
    ...transports.map(({ file: half, factory }) => `import { ${factory} } from ${file(`client/${half}`)}`),
    ...way.imports.map(([name, path]) => `import { ${name} } from ${file(path)}`),
    ...halves.map(
      ({ name, half }, index) => `import { ${half.name} as half${index} } from ${quote(HALF_PREFIX + name)}`,
    ),
  ]
  const table = halves.map(({ name }, index) => `${quote(name)}: whole(half${index})`).join(', ')
  const creation = `create({
    ${way.options},
    ...options,
    ${table && 'services: halves,'}
  })`
  const taken = [...way.parameters, ...(table ? ['services'] : [])].map(name => `${name}, `).join('')
  return `${imports.join('\n')}

export { SocketStreamError, webSocket } from ${client}

${way.before}
export function createClient({ ${taken}...options } = {}) {
  ${table ? withHalves(table, creation) : `return ${creation}`}
}
`
}

/** Most clients have no halves of their own, and are small. */
function withHalves(table: string, creation: string): string {
  // A half of 0.4 is the function alone, and is given some more than others.
  return `const whole = half => typeof half !== 'function' ? half : {
    client: service => half(Object.assign(service, {
      options: service.options ?? {},
      private: false,
      debug: (...args) => void (service.options.debug && console.debug(service.name + ':', ...args)),
    })),
  }
  const halves = { ${table}, ...services }
  const client = ${creation}
  client.on('status', status => {
    if (status !== 'connected') return
    for (const name in halves) {
      try {
        if (halves[name].eager) client.api[name]
      } catch {
        // The server has no such service any more.
      }
    }
  })
  return client`
}

interface Way {
  readonly imports: readonly (readonly [name: string, path: string])[]
  readonly before: string
  /** What it takes of the options. */
  readonly parameters: readonly string[]
  readonly options: string
}

function single({ name, factory, path }: PlannedTransport): Way {
  const scheme = name === 'ws' ? 'ws' : 'http'
  const url = `url: addressOf(${quote(path)}, import.meta.url, ${quote(scheme)})`
  // The client's own default.
  if (name === 'ws') return { imports: [], before: '', parameters: [], options: url }
  return { imports: [], before: '', parameters: [], options: `${url},\n    transport: ${factory}()` }
}

function several(transports: readonly PlannedTransport[], codec: ClientPlan['codec']): Way {
  const ways = transports.map(
    ({ name, path, binary, factory }) =>
      `  { name: ${quote(name)}, url: ${quote(path)}, binary: ${binary}, load: () => ${factory}() },`,
  )
  const binary = codec === 'json' ? 'json' : 'msgpack'
  return {
    imports: [
      ['fallback', 'client/fallback'],
      ['json', 'codec/json-portable'],
      ...(binary === 'msgpack' ? ([['msgpack', 'codec/msgpack-portable']] as const) : []),
    ],
    before: `const ways = [\n${ways.join('\n')}\n]\n`,
    parameters: ['fallback: choice', 'onTransport'],
    options: `url: addressOf('/', import.meta.url),
    ...fallback(ways, { binary: ${binary}(), text: json() }, { ...choice, onTransport })`,
  }
}

function quote(text: string): string {
  return JSON.stringify(text)
}
