import { randomUUID } from 'node:crypto'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SocketStreamError } from '../../errors.js'
import { invalidArguments } from '../../protocol/issues.js'
import type { Keeper } from './keeper.js'
import type { ModelAction, ModelContext } from './options.js'
import { type Plain, plain } from './plain.js'
import type { Stored } from './storage.js'
import { maySee } from './viewer.js'

/** Attempts at an update that names no version, when others write at the same time. */
const ATTEMPTS = 10

const ID = /^[\w.:-]{1,128}$/

/** What becomes of a record. */
export interface Edit {
  readonly set: Plain
  /** Names of properties that it loses. */
  readonly unset: readonly string[]
}

/** Checks an id. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkId(id: unknown): string {
  if (typeof id === 'string' && ID.test(id)) return id
  const text = "An id has 1 to 128 letters, digits, '_', '.', ':' or '-'"
  throw new SocketStreamError('INVALID_ARGUMENTS', text)
}

/** Writes records: in the storage first, then to those who watch. Without a context nobody is asked. */
export class Writer {
  readonly #keeper: Keeper

  constructor(keeper: Keeper) {
    this.#keeper = keeper
  }

  async create(ctx: ModelContext | undefined, given: unknown): Promise<Stored<Plain>> {
    const { key, storage } = this.#keeper.options
    const input = plain(given)
    const id = checkId(input[key] ?? randomUUID())
    const record = await this.#check({ ...input, [key]: id }, id)
    await this.#allow(ctx, 'create', record)
    return this.#keeper.lanes.run(id, async () => {
      const version = await this.#write(id, () => storage.create(id, record))
      if (version === undefined) {
        throw new SocketStreamError(
          'ALREADY_EXISTS',
          `There is a record '${id}'; update that one, or take another id`,
        )
      }
      const stored = { record, version }
      this.#keeper.committed(id, stored)
      return stored
    })
  }

  /** Changes a record: of this version, or of whichever stands there. */
  update(
    ctx: ModelContext | undefined,
    id: string,
    ifVersion: number | undefined,
    edit: Edit,
  ): Promise<Stored<Plain>> {
    const { storage } = this.#keeper.options
    return this.#change(ctx, id, ifVersion, async current => {
      const next = { ...current.record, ...edit.set }
      for (const name of edit.unset) delete next[name]
      const record = await this.#check(next, id)
      await this.#allow(ctx, 'update', current.record, record)
      const version = await this.#write(id, () => storage.update(id, record, current.version))
      if (version === undefined) return undefined
      const stored = { record, version }
      this.#keeper.committed(id, stored)
      return stored
    })
  }

  /** Removes a record: of this version, or of whichever stands there. */
  async remove(ctx: ModelContext | undefined, id: string, ifVersion: number | undefined): Promise<void> {
    const { storage } = this.#keeper.options
    await this.#change(ctx, id, ifVersion, async current => {
      await this.#allow(ctx, 'remove', current.record)
      const removed = await this.#write(id, async () => {
        return (await storage.remove(id, current.version)) === true ? current.version : undefined
      })
      if (removed === undefined) return undefined
      this.#keeper.committed(id, undefined)
      return current
    })
  }

  /** Does something with the record as it stands, again if another writer was faster and nobody minds. */
  #change(
    ctx: ModelContext | undefined,
    id: string,
    ifVersion: number | undefined,
    attempt: (current: Stored<Plain>) => Promise<Stored<Plain> | undefined>,
  ): Promise<Stored<Plain>> {
    const { desk, lanes } = this.#keeper
    return lanes.run(id, async () => {
      // What was sent last is most often what stands there; if not, the storage refuses.
      let current = desk.entries.get(id)?.stored
      for (let count = 0; count < ATTEMPTS; count++) {
        if (
          count > 0 ||
          current === undefined ||
          (ifVersion !== undefined && current.version !== ifVersion)
        ) {
          current = await this.#keeper.load(id)
          desk.apply(id, current)
        }
        if (current === undefined || !this.#maySee(ctx, current.record)) throw notFound(id)
        if (ifVersion !== undefined && current.version !== ifVersion) throw stale(current)
        const done = await attempt(current)
        if (done !== undefined) return done
      }
      const text = `Others write '${id}' all the time; try again`
      throw new SocketStreamError('OVERLOADED', text, { retryAfter: 1000 })
    })
  }

  /** Writes, and finds out what stands there when that failed. */
  async #write(
    id: string,
    write: () => number | undefined | Promise<number | undefined>,
  ): Promise<number | undefined> {
    try {
      const version = await write()
      if (version === undefined || version === null) return undefined
      if (Number.isSafeInteger(version) && version > 0) return version
      throw new Error(`The storage gave the version ${version}; give a positive whole number`)
    } catch (error) {
      this.#keeper.doubt(id)
      this.#keeper.announce(id)
      throw error
    }
  }

  async #check(record: Plain, id: string): Promise<Plain> {
    const { schema, key } = this.#keeper.options
    const checked = schema === undefined ? record : plain(await validate(schema, record))
    if (checked[key] === id) return checked
    throw new SocketStreamError(
      'INVALID_ARGUMENTS',
      `The '${key}' of a record stays what it is; leave it out`,
    )
  }

  #maySee(ctx: ModelContext | undefined, record: Plain): boolean {
    return ctx === undefined || maySee(this.#keeper.options.authorize, ctx, record, this.#keeper.log)
  }

  async #allow(
    ctx: ModelContext | undefined,
    action: ModelAction,
    record: Plain,
    next?: Plain,
  ): Promise<void> {
    if (ctx === undefined) return
    if ((await this.#keeper.options.authorize(ctx, action, record, next)) === true) return
    throw new SocketStreamError('FORBIDDEN', 'The service does not allow this to this client')
  }
}

/** What a schema makes of a value. @throws SocketStreamError `INVALID_ARGUMENTS`, with `data.issues` */
export async function validate(schema: StandardSchemaV1, value: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(value)
  if (result.issues) throw invalidArguments(result.issues)
  return result.value
}

function notFound(id: string): SocketStreamError {
  return new SocketStreamError('NOT_FOUND', `There is no record '${id}', or this client may not see it`)
}

function stale({ record, version }: Stored<Plain>): SocketStreamError {
  const text = `The record has been changed meanwhile and is at version ${version}; look at it, then write again`
  return new SocketStreamError('STALE_VERSION', text, { data: { version, record } })
}
