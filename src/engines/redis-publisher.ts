import { randomBytes } from 'node:crypto'
import { Batches } from './batches.js'
import { unavailable } from './checks.js'
import type { Published } from './log.js'
import { KEY_TTL, type Retention } from './log-checks.js'
import { MOST_CALLS, type RedisLink } from './redis-link.js'
import type { RedisNames } from './redis-names.js'
import { PUBLISH } from './redis-scripts.js'
import type { Reply } from './redis-wire.js'

interface Publication {
  /** The Redis channel: what its keys begin with, too. */
  readonly name: string
  readonly payload: Buffer
  readonly retention: Retention
  readonly resolve: (published: Published) => void
  readonly reject: (reason: unknown) => void
}

/** Publications of one turn, also to several channels, in one call of a script: most of its cost is that of the call. */
export class RedisPublisher {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #batches = new Batches<number, Publication>(publications => this.#send(publications))
  #waiting = 0

  constructor(link: RedisLink, names: RedisNames) {
    this.#link = link
    this.#names = names
    link.beforeCalls(() => this.#batches.flush())
  }

  publish(channel: string, payload: Uint8Array, retention: Retention): Promise<Published> {
    if (this.#waiting >= MOST_CALLS) {
      return Promise.reject(unavailable('redis: too many publications wait already; slow down'))
    }
    this.#waiting++
    const name = this.#names.of('log', channel)
    return new Promise((resolve, reject) => {
      const publication = { name, payload: Buffer.from(payload), retention, resolve, reject }
      this.#batches.add(this.#link.group(name), publication, payload.length)
    })
  }

  #send(publications: readonly Publication[]): void {
    const groups = byChannel(publications)
    const { args, keys } = argumentsOf(groups)
    this.#link.runNow(PUBLISH, args, keys).then(
      reply => {
        this.#waiting -= publications.length
        settle(groups, reply as readonly Reply[])
      },
      error => {
        this.#waiting -= publications.length
        for (const { reject } of publications) reject(error)
      },
    )
  }
}

/** Groups of one channel and one retention; in the order of each channel. */
function byChannel(publications: readonly Publication[]): Publication[][] {
  const last = new Map<string, Publication[]>()
  const groups: Publication[][] = []
  for (const publication of publications) {
    const standing = last.get(publication.name)
    if (standing && isKeptAlike(standing[0] as Publication, publication)) {
      standing.push(publication)
      continue
    }
    const group = [publication]
    last.set(publication.name, group)
    groups.push(group)
  }
  return groups
}

function isKeptAlike(one: Publication, other: Publication): boolean {
  return one.retention.size === other.retention.size && one.retention.ttl === other.retention.ttl
}

/** What the script is given. */
function argumentsOf(groups: readonly (readonly Publication[])[]) {
  const keys: string[] = []
  const idempotencyKeys: string[] = []
  const bytes: Uint8Array[] = []
  let numbers = `[${groups.length}`
  for (const publications of groups) {
    const { name, retention } = publications[0] as Publication
    keys.push(...logKeys(name))
    numbers += `,${publications.length},${retention.size},${Number.isFinite(retention.ttl) ? retention.ttl : 0}`
    for (const { payload, retention } of publications) {
      const { key } = retention
      let keyLength = 0
      if (key !== undefined) {
        idempotencyKeys.push(`${name}:k:${key}`)
        const keyBytes = Buffer.from(key)
        bytes.push(keyBytes)
        keyLength = keyBytes.length
      }
      bytes.push(payload)
      numbers += `,${keyLength},${payload.length}`
    }
  }
  keys.push(...idempotencyKeys)
  return {
    args: [...keys, newEpoch(), `${numbers}]`, Buffer.concat(bytes), String(KEY_TTL)],
    keys: keys.length,
  }
}

function settle(groups: readonly (readonly Publication[])[], reply: readonly Reply[]): void {
  let at = 0
  for (const publications of groups) {
    const epoch = String(reply[at++])
    for (const { resolve } of publications) {
      const offset = reply[at++] as number
      resolve({ epoch, offset: Math.abs(offset), duplicate: offset < 0 })
    }
  }
}

/** What a channel has in Redis: its state, and its entries. */
export function logKeys(name: string): [state: string, entries: string] {
  return [`${name}:m`, `${name}:s`]
}

/** Most are thrown away, as a call only brings one along: random bytes for each were a quarter of its cost. */
const epochs = { prefix: randomBytes(9).toString('base64url'), count: 0 }

export function newEpoch(): string {
  return `${epochs.prefix}${(epochs.count++).toString(36)}`
}
