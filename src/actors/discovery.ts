import type { ServiceUse } from '../services/service.js'
import type { ServiceEntry } from './service.js'

/** A public service as clients of SocketStream 0.4 discover it. */
export interface Discovered {
  readonly params: {
    readonly id: number
    readonly name: string
    readonly options: Readonly<Record<string, unknown>>
    readonly use: ServiceUse
  }
  /** Source of an expression whose value is the client half. */
  readonly handler: string
}

/** Keeps the client quiet about a service that it has no half for. */
const NO_HALF = 'function (client) { client.onmessage = function () {} }'
/** Where they stand in files is nobody's business, and a log cannot be sent. */
const OWN_OPTIONS = new Set(['root', 'log'])

/**
 * What the answer to `discover` holds: the public services, with the sources of their client halves.
 *
 * Sources are only ever sent, never run here. The halves of services with a type are modules, of which the
 * source of a function is no use elsewhere: these have a `textClient`, or none.
 */
export function discoveryOf(services: readonly (ServiceEntry | undefined)[]): readonly Discovered[] {
  return services.flatMap(service => {
    if (service === undefined || service.private) return []
    const { id, name, definition, server } = service
    const { use = {}, textClient, client, type = 'custom' } = definition
    const half = textClient ?? (type === 'custom' ? client : undefined)
    const handler = half ? expression(half) : NO_HALF
    return [{ params: { id, name, options: publicOptions(server.options), use }, handler }]
  })
}

/** The options of a service as far as they can be sent, without those that are the server's own. */
export function publicOptions(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const own = Object.entries(options).filter(([name]) => !OWN_OPTIONS.has(name))
  return Object.fromEntries(
    own.flatMap(([name, value]) => {
      const plain = plainOf(value)
      return plain === undefined ? [] : [[name, plain]]
    }),
  )
}

function plainOf(value: unknown): unknown {
  try {
    const text = JSON.stringify(value)
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A function written as a method has a source that stands in objects only. */
function expression(half: (client: never) => unknown): string {
  const source = String(half)
  if (source.includes('[native code]')) return NO_HALF
  if (/^(async\s+)?(function\b|\(|[\w$]+\s*=>)/.test(source)) return source
  return `Object.values({ ${source} })[0]`
}
