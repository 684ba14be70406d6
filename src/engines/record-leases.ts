import { checkName, checkTtl, checkWhole } from './checks.js'
import type { Lease, Leases } from './lease.js'
import type { Outcome, Records, Standing } from './records.js'

/** Leases on the records of an engine. The tokens of all names come from one counter. */
export class RecordLeases implements Leases {
  readonly #records: Records

  constructor(records: Records) {
    this.#records = records
  }

  async acquire(name: string, ttl: number, holder = ''): Promise<Pick<Lease, 'token'> | undefined> {
    const bytes = checkName('name', name)
    checkTtl(ttl)
    if (holder !== '') checkName('holder', holder)
    return this.#records.change(bytes, ({ record, now, next }) => {
      if (record) return { result: undefined }
      const token = next()
      return { result: { token }, record: { number: token, text: holder, expires: now + ttl } }
    })
  }

  async renew(name: string, token: number, ttl: number): Promise<boolean> {
    checkTtl(ttl)
    return this.#ifHeld(name, token, ({ record, now }) => ({ ...record!, expires: now + ttl }))
  }

  async release(name: string, token: number): Promise<boolean> {
    return this.#ifHeld(name, token, () => null)
  }

  async current(name: string): Promise<Lease | undefined> {
    const { record, now } = await this.#records.read(checkName('name', name))
    return record && { token: record.number, holder: record.text, remaining: record.expires - now }
  }

  async #ifHeld(
    name: string,
    token: number,
    next: (standing: Standing) => Outcome<boolean>['record'],
  ): Promise<boolean> {
    const bytes = checkName('name', name)
    checkWhole('token', token, 1)
    return this.#records.change(bytes, standing => {
      if (standing.record?.number !== token) return { result: false }
      return { result: true, record: next(standing) }
    })
  }
}
