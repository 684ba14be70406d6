import { checkBytes, checkName, checkRange, checkVersion, checkWrite } from './checks.js'
import type { KeyValue, KeyValueEntry, WriteOptions } from './key-value.js'
import type { RedisLink } from './redis-link.js'
import type { RedisNames } from './redis-names.js'
import { DELETE, GET, KEYS, SET } from './redis-scripts.js'

/** Key-value in Redis; in a cluster on one master, as its keys are listed in order. */
export class RedisKeyValue implements KeyValue {
  readonly #link: RedisLink
  readonly #names: RedisNames

  constructor(link: RedisLink, names: RedisNames) {
    this.#link = link
    this.#names = names
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    this.#link.checkOpen()
    checkName('key', key)
    const reply = (await this.#link.run(GET, [this.#name(`e:${key}`)])) as [number, Buffer] | null
    return reply ? { value: new Uint8Array(reply[1]), version: reply[0] } : undefined
  }

  async set(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<number> {
    this.#link.checkOpen()
    checkName('key', key)
    checkBytes('value', value)
    checkWrite(options)
    const { ifVersion = '', ttl = 0 } = options
    const args = [...this.#keys(key), key, String(ifVersion), Buffer.from(value), String(ttl)]
    const [done, version] = (await this.#link.run(SET, args)) as [number, number]
    if (!done) checkVersion(key, version, options.ifVersion)
    return version
  }

  async delete(key: string, options: Pick<WriteOptions, 'ifVersion'> = {}): Promise<boolean> {
    this.#link.checkOpen()
    checkName('key', key)
    checkWrite(options)
    const args = [...this.#keys(key), key, String(options.ifVersion ?? '')]
    const [done, result] = (await this.#link.run(DELETE, args)) as [number, number]
    if (!done) checkVersion(key, result, options.ifVersion)
    return result === 1
  }

  async keys(options?: Parameters<KeyValue['keys']>[0]): Promise<string[]> {
    this.#link.checkOpen()
    const { prefix, after, limit } = checkRange(options)
    const isAfter = after.compare(prefix) >= 0
    const least = isAfter
      ? Buffer.concat([Buffer.from('('), after])
      : Buffer.concat([Buffer.from('['), prefix])
    // No UTF-8 has the byte 255.
    const most = Buffer.concat([Buffer.from('('), prefix, Buffer.from([255])])
    const args = [this.#name('names'), this.#name('times'), least, most, String(limit)]
    return ((await this.#link.run(KEYS, args)) as Buffer[]).map(String)
  }

  #keys(key: string): string[] {
    return [this.#name(`e:${key}`), this.#name('names'), this.#name('times')]
  }

  #name(rest: string): string {
    return this.#names.of('kv', 'kv', rest)
  }
}
