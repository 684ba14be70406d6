import { pack, unpack } from '../../codec/packed.js'
import type { Member } from '../../engines/presence.js'

/**
 * One entry of an engine: what a device has said of itself last.
 *
 * Engines tell of entries that come and go, not of those that change. What changes is therefore another entry, with
 * a greater revision, and no entry is ever used again: that one has gone is final.
 */
export interface Stay {
  readonly user: string
  readonly device: string
  readonly revision: number
  /** The server that keeps it. */
  readonly node: string
  /** Whether its connection has gone, and it may yet come back. */
  readonly away: boolean
  readonly meta: unknown
}

/** Between the parts of an entry's name: no part has control characters. */
const BETWEEN = '\n'

/** The name of an entry, which sorts by its user. */
export function nameOf({ user, device, revision, node }: Omit<Stay, 'away' | 'meta'>): string {
  return [user, device, revision, node].join(BETWEEN)
}

/** What an entry carries. @throws SocketStreamError `UNENCODABLE` */
export function infoOf({ away, meta }: Pick<Stay, 'away' | 'meta'>): Uint8Array {
  return pack([away, meta])
}

/** Reads an entry; undefined when something else has written it. */
export function stayOf({ member, info }: Member): Stay | undefined {
  const [user, device, digits, node, ...more] = member.split(BETWEEN)
  const revision = Number(digits)
  if (!user || !device || !node || more.length > 0 || !Number.isSafeInteger(revision)) return undefined
  try {
    const value = unpack(info)
    if (!Array.isArray(value) || value.length !== 2 || typeof value[0] !== 'boolean') return undefined
    return { user, device, revision, node, away: value[0], meta: value[1] }
  } catch {
    return undefined
  }
}
