// @ts-check
/** Who can log in. An application has them in its database, each with a salt of its own. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** @typedef {{ id: string, name: string }} User */

const hash = /** @type {(password: string, salt: Buffer, bytes: number) => Promise<Buffer>} */ (
  promisify(scrypt)
)
const salt = randomBytes(16)
const please = hash('please', salt, 32)

/** All have the same password: this is an example. */
const USERS = new Map([
  ['ann', { id: 'ann', name: 'Ann', password: please }],
  ['ben', { id: 'ben', name: 'Ben', password: please }],
])

/**
 * The user with this name and password; undefined when there is none.
 *
 * @param {unknown} name @param {unknown} password
 * @returns {Promise<User | undefined>}
 */
export async function findUser(name, password) {
  if (typeof name !== 'string' || typeof password !== 'string' || password.length > 200) return undefined
  const found = USERS.get(name.trim().toLowerCase())
  // Takes as long for a name that there is not.
  const given = await hash(password, salt, 32)
  if (!found || !timingSafeEqual(given, await found.password)) return undefined
  return { id: found.id, name: found.name }
}
