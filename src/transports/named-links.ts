import { randomBytes } from 'node:crypto'
import { Links } from './links.js'

/** Bytes in an id: 128 bits, so that guessing is hopeless. */
const ID_BYTES = 16

/** Links that requests name: by ids that nobody can guess, and that say nothing about the client. */
export class NamedLinks<L extends { terminate(): void }> extends Links<L> {
  readonly #byId = new Map<string, L>()
  readonly #ids = new Map<L, string>()

  /** Adds a link; gives its id, of 22 characters that need no escapes in URLs. */
  name(link: L): string {
    const id = randomBytes(ID_BYTES).toString('base64url')
    this.#byId.set(id, link)
    this.#ids.set(link, id)
    this.add(link)
    return id
  }

  /** The link of this id, while it is there. */
  find(id: string | null): L | undefined {
    return id === null ? undefined : this.#byId.get(id)
  }

  override delete(link: L): void {
    this.#byId.delete(this.#ids.get(link) ?? '')
    this.#ids.delete(link)
    super.delete(link)
  }
}
