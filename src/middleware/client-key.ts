import type { Request } from '../services/service.js'

/**
 * The id of a user: what `authenticate` has returned, or its `id`.
 *
 * Undefined when neither is a string or a number.
 */
export function userIdOf(user: unknown): string | number | undefined {
  if (isId(user)) return user
  if (user === null || typeof user !== 'object') return undefined
  const { id } = user as { id?: unknown }
  return isId(id) ? id : undefined
}

/**
 * Whose request it is: the user; else the session, if something was put in it; else the address.
 *
 * An empty session does not count: whoever comes without a cookie gets a new one each time.
 */
export function clientKey(req: Request): string {
  const id = userIdOf(req.user)
  if (id !== undefined) return `user:${id}`
  const { session } = req
  for (const key of Object.keys(session)) if (key !== 'cookie') return `session:${session.id}`
  return `ip:${req.clientIp}`
}

function isId(value: unknown): value is string | number {
  return (typeof value === 'string' && value !== '') || (typeof value === 'number' && Number.isFinite(value))
}
