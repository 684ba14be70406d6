import type { PresenceMember } from './api.js'
import type { Row } from './roster.js'
import type { View } from './view.js'

/** A page of a view, and where the next one begins. */
export function pageOf(view: View, after: string | undefined, limit: number) {
  const { rows, more } = view.page(after, limit)
  return { rows, next: more ? rows.at(-1)![0] : undefined, version: view.version }
}

/** A member as the server-side API gives it. */
export function memberOf<Meta>([user, devices]: Row): PresenceMember<Meta> {
  return { user, devices: devices.map(([id, meta]) => ({ id, meta: meta as Meta })) }
}
