import { randomBytes, timingSafeEqual } from 'node:crypto'
import { Links } from './links.js'

/** Bytes and characters of the part of an id that it is found by. */
const KEY_BYTES = 6
const KEY_LENGTH = 8
/** Bytes of the part that is compared: 128 bits, so that guessing is hopeless. */
const SECRET_BYTES = 16

/** Links that requests name: by ids that nobody can guess, and that say nothing about the client. */
export class NamedLinks<L extends { terminate(): void }> extends Links<L> {
  readonly #byKey = new Map<string, { readonly link: L; readonly secret: Buffer }>()
  readonly #keys = new Map<L, string>()

  /** Adds a link; gives its id, of 30 characters that need no escapes in URLs. */
  name(link: L): string {
    let key: string
    do key = randomBytes(KEY_BYTES).toString('base64url')
    while (this.#byKey.has(key))
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    this.#byKey.set(key, { link, secret: Buffer.from(secret) })
    this.#keys.set(link, key)
    this.add(link)
    return key + secret
  }

  /** The link of this id, while it is there; how long that takes says nothing about the secret part. */
  find(id: string | null): L | undefined {
    if (id === null) return undefined
    const found = this.#byKey.get(id.slice(0, KEY_LENGTH))
    const given = Buffer.from(id.slice(KEY_LENGTH))
    if (found === undefined || given.length !== found.secret.length) return undefined
    return timingSafeEqual(given, found.secret) ? found.link : undefined
  }

  override delete(link: L): void {
    this.#byKey.delete(this.#keys.get(link) ?? '')
    this.#keys.delete(link)
    super.delete(link)
  }
}
