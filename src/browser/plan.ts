import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SocketStreamError } from '../errors.js'
import { pubsubClient } from '../services/pubsub/client.js'
import { rpcClient } from '../services/rpc/client.js'
import type { ServiceDefinition } from '../services/service.js'
import type { Transport } from '../transports/transport.js'
import { type NamedService, publicOnly } from './assets.js'
import { TRANSPORT_HALVES, type TransportHalf } from './transport-halves.js'

/** What `buildClient` puts into the module. */
export interface ClientBuildOptions {
  /** Names of transports, in the order to try. Default all of the server that have a half for browsers. */
  readonly transports?: readonly string[]
  /** Default `msgpack`, or `json` where all chosen transports carry text only. */
  readonly codec?: 'msgpack' | 'json'
  /** Default true. */
  readonly minify?: boolean
  /** Names of public services whose halves are put in. Default all. */
  readonly services?: readonly string[]
}

/** A transport to bundle, and where the server has it. */
export interface PlannedTransport extends TransportHalf {
  readonly name: string
  readonly path: string
  readonly binary: boolean
}

/** A service of the module. */
export interface PlannedService {
  readonly name: string
  readonly type: string
  /** Its half; undefined where the client has it built in, or where there is none. */
  readonly half: { readonly file: string; readonly name: string } | undefined
}

/** What is to be bundled. */
export interface ClientPlan {
  readonly transports: readonly PlannedTransport[]
  readonly codec: 'msgpack' | 'json'
  readonly minify: boolean
  readonly services: readonly PlannedService[]
}

/** The halves that every client has, by type. */
const BUILT_IN: Readonly<Record<string, ServiceDefinition['client']>> = {
  rpc: rpcClient.client,
  pubsub: pubsubClient.client,
}

const KNOWN: readonly (keyof ClientBuildOptions)[] = ['transports', 'codec', 'minify', 'services']

/**
 * Checks the options against the server and fills in the defaults.
 *
 * @throws SocketStreamError `INVALID_OPTION`, or `SERVICE_HALF_MISSING` for a service whose half is in no file
 */
export function planClient(
  transports: readonly Transport[],
  services: readonly NamedService[],
  options: ClientBuildOptions,
): ClientPlan {
  if (options === null || typeof options !== 'object') {
    throw invalid("buildClient() takes an object, such as { codec: 'json' }")
  }
  for (const name of Object.keys(options)) {
    if (!(KNOWN as readonly string[]).includes(name)) {
      throw invalid(`there is no option \`${name}\` of buildClient(); give one of ${KNOWN.join(', ')}`)
    }
  }
  const { minify = true } = options
  if (typeof minify !== 'boolean') throw invalid('`minify` must be true or false')
  const chosen = chooseTransports(transports, options.transports)
  return {
    transports: chosen,
    codec: chooseCodec(chosen, options.codec),
    minify,
    services: chooseServices(publicOnly(services), options.services),
  }
}

function chooseTransports(
  all: readonly Transport[],
  names: readonly string[] | undefined,
): readonly PlannedTransport[] {
  const offered = new Map<string, PlannedTransport>()
  for (const { name, path, capabilities } of all) {
    const half = TRANSPORT_HALVES.get(name)
    // Of two with one name, such as on two ports, the first is taken: as with `app.address()`.
    if (half === undefined || offered.has(name)) continue
    offered.set(name, { ...half, name, path: path ?? half.path, binary: capabilities.binary })
  }
  const fix = `give some of ${[...TRANSPORT_HALVES.keys()].join(', ')} that the server has`
  if (offered.size === 0) throw invalid(`no transport of this server has a half for browsers; ${fix}`)
  checkNames('transports', names, fix)
  return [...new Set(names ?? offered.keys())].map(name => {
    const found = offered.get(name)
    if (found === undefined) {
      throw invalid(`\`transports\` names ${JSON.stringify(name)}, which browsers cannot use here; ${fix}`)
    }
    return found
  })
}

function chooseCodec(
  transports: readonly PlannedTransport[],
  codec: ClientBuildOptions['codec'],
): ClientPlan['codec'] {
  const binary = transports.some(transport => transport.binary)
  if (codec === undefined) return binary ? 'msgpack' : 'json'
  if (codec !== 'msgpack' && codec !== 'json') throw invalid("`codec` must be 'msgpack' or 'json'")
  if (codec === 'msgpack' && !binary) {
    throw invalid("`codec` cannot be 'msgpack': the chosen transports carry text only; give codec: 'json'")
  }
  return codec
}

function chooseServices(
  all: readonly NamedService[],
  names: readonly string[] | undefined,
): readonly PlannedService[] {
  checkNames('services', names, 'give names of public services, or leave it out for all')
  // Private services are not told from those that are not there: the message may be shown.
  const lost = names?.find(name => !all.some(service => service.name === name))
  if (lost !== undefined) {
    const there = all.map(({ name }) => name).join(', ') || 'none'
    throw invalid(`\`services\` names ${JSON.stringify(lost)}; the public services are: ${there}`)
  }
  return all.filter(({ name }) => names?.includes(name) ?? true).map(planService)
}

function planService({ name, definition }: NamedService): PlannedService {
  const { type = 'custom', client, clientModule } = definition
  if (clientModule !== undefined) {
    const { export: exported = 'default' } = clientModule
    if (typeof exported !== 'string' || !/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(exported)) {
      throw invalid(`\`clientModule.export\` of service "${name}" must be the name of an export`)
    }
    return { name, type, half: { file: fileOf(name, clientModule.url), name: exported } }
  }
  const standard = Object.hasOwn(BUILT_IN, type) ? BUILT_IN[type] : undefined
  // Without a type and a half there is nothing that a client could do with it.
  const complete = client === undefined ? standard !== undefined || type === 'custom' : client === standard
  if (complete) return { name, type, half: undefined }
  const file = client === undefined ? undefined : required(client)
  if (file !== undefined) return { name, type, half: { file, name: 'default' } }
  throw new SocketStreamError(
    'SERVICE_HALF_MISSING',
    `The client half of service "${name}" is in no file that could be bundled: put it into one of its own and give the definition clientModule: { url: new URL('./my-client.js', import.meta.url) }`,
  )
}

/** The file whose `module.exports` this is, as in services of 0.4: `service.client = require('./client')`. */
function required(client: unknown): string | undefined {
  const modules = Object.values(createRequire(import.meta.url).cache)
  return modules.find(module => module?.exports === client)?.filename
}

function fileOf(service: string, url: unknown): string {
  if (typeof url === 'string' && isAbsolute(url)) return url
  try {
    if (url instanceof URL || typeof url === 'string') return fileURLToPath(url)
  } catch {
    // No URL, or one of something else than a file: told below.
  }
  throw invalid(
    `\`clientModule.url\` of service "${service}" must be a file; give new URL('./my-client.js', import.meta.url)`,
  )
}

function checkNames(option: string, names: unknown, fix: string): void {
  const fits = names === undefined || (Array.isArray(names) && names.every(name => typeof name === 'string'))
  if (!fits || (option === 'transports' && Array.isArray(names) && names.length === 0)) {
    throw invalid(`\`${option}\` must be a list of names; ${fix}`)
  }
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', message)
}
