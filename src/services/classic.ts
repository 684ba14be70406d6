import type { EventEmitter } from 'node:events'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Logger } from '../log.js'

/** Version that clients and services of SocketStream 0.4 are told. */
export const CLASSIC_VERSION = '1.0'

/** What a service was assigned when it was registered, as services of 0.4 read it. */
export interface Assigned {
  readonly id: number
  readonly name: string
  /** The server-side API of all services, filled as they start. */
  readonly api: Readonly<Record<string, unknown>>
  readonly events: EventEmitter
  /** Folder of the service's own files: its option `root`, or `services/<name>` below the server's root. */
  readonly root: string
  readonly log: Logger
  readonly options: Readonly<Record<string, unknown>>
  readonly rtsVersion: string
}

/** A registered service, as its server half sees it by `server.service`. */
export interface ClassicService {
  readonly assigned: Assigned
  /** All services; `root` is that of the server. */
  readonly services: { readonly root: string }
  /** Its folder as seen from the server's root, such as `./services/rpc`. */
  relativeRoot(): string
}

/** What `server.service` is made of. */
export interface ClassicServiceInit extends Omit<Assigned, 'root' | 'rtsVersion'> {
  /** The server's. */
  readonly root: string
}

/** Makes what a server half has as `server.service`. */
export function classicService({ root, ...init }: ClassicServiceInit): ClassicService {
  const given = init.options.root
  const own = typeof given === 'string' ? resolve(root, given) : join(root, 'services', init.name)
  return {
    assigned: { ...init, root: own, rtsVersion: CLASSIC_VERSION },
    services: { root },
    relativeRoot() {
      const path = relative(root, own)
      const outside = path.startsWith('..') || isAbsolute(path)
      return outside ? own : `./${path.split(sep).join('/')}`
    },
  }
}
