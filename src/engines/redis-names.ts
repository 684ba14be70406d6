/** The names of keys and channels in Redis: with a hash tag for what one script touches together. */
export class RedisNames {
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** @param part a capability, @param name what is kept together, @param rest which key of it */
  of(part: string, name: string, rest = ''): string {
    // A brace within would end the hash tag.
    return `${this.#prefix}:${part}:{${name.replaceAll('%', '%25').replaceAll('}', '%7D')}}${rest && `:${rest}`}`
  }
}

/** Splits a message of a script: words up to the first line break, then bytes. */
export function splitMessage(message: Buffer): { words: string[]; rest: Buffer } {
  const end = message.indexOf(10)
  return { words: message.toString('latin1', 0, end).split(' '), rest: message.subarray(end + 1) }
}
