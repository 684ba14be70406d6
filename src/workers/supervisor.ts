import type { Clock } from '../actors/runtime/timer-wheel.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { how, listens, type WorkerProcess } from './worker.js'

/** Milliseconds before a worker that has crashed is begun again: doubled each time, up to the longest. */
const FIRST_DELAY = 100
const LONGEST_DELAY = 30_000
/** Milliseconds after which a worker is taken to run well: the next crash counts as its first. */
const STEADY = 60_000

/** What a supervisor needs. */
export interface SupervisorOptions {
  readonly count: number
  /** Milliseconds that a worker has to end after `SIGTERM`. */
  readonly patience: number
  readonly fork: () => WorkerProcess
  readonly clock: Clock
  readonly log: Logger
}

/** A place for a worker, which is never left empty for long. */
interface Place {
  worker: WorkerProcess | undefined
  listens: boolean
  since: number
  crashes: number
  timer: unknown
}

/** Keeps so many workers running: begins those anew that crash, and replaces all of them one after the other. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #places: Place[]
  #status: 'new' | 'running' | 'stopping' = 'new'
  /** The restart under way, and the one that comes after it. */
  #restarting: Promise<void> | undefined
  #next: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#places = Array.from({ length: options.count }, () => ({
      worker: undefined,
      listens: false,
      since: 0,
      crashes: 0,
      timer: undefined,
    }))
  }

  /** Of each worker its process id and whether it listens; those that wait to be begun again are not there. */
  get workers(): { readonly pid: number; readonly listens: boolean }[] {
    return this.#places.flatMap(({ worker, listens }) => (worker ? [{ pid: worker.pid, listens }] : []))
  }

  /** Resolves when all listen. @throws SocketStreamError `WORKER_FAILED` when one does not; all are ended then */
  async start(): Promise<void> {
    if (this.#status !== 'new') throw wrongTime('start() must come first, and once')
    this.#status = 'running'
    const { fork } = this.#options
    try {
      await Promise.all(
        this.#places.map(place => {
          const worker = fork()
          this.#put(place, worker)
          return listens(worker)
        }),
      )
    } catch (error) {
      await this.stop()
      throw error
    }
    for (const place of this.#places) this.#watch(place)
  }

  /**
   * Replaces each worker, one after the other: the new one listens before the old one is asked to end.
   *
   * Called while it is under way, it is done once more after that. @throws SocketStreamError `WORKER_FAILED` when a new
   * one does not come to listen; the old ones that are left go on
   */
  restart(): Promise<void> {
    if (this.#status !== 'running') return Promise.reject(wrongTime('restart() is for workers that run'))
    if (this.#restarting === undefined) return this.#begin()
    this.#next ??= this.#restarting
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#begin()
      })
    return this.#next
  }

  /** Asks all to end, and resolves when they have. */
  stop(): Promise<void> {
    this.#status = 'stopping'
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  #begin(): Promise<void> {
    const restarting = this.#restart().finally(() => {
      this.#restarting = undefined
    })
    this.#restarting = restarting
    return restarting
  }

  async #restart(): Promise<void> {
    for (const place of this.#places) {
      if (this.#status !== 'running') return
      const fresh = this.#options.fork()
      try {
        await listens(fresh)
      } catch (error) {
        this.#options.log.error('a restart of the workers was given up: a new one does not listen', { error })
        throw error
      }
      if (this.#status !== 'running') return this.#end(fresh)
      const { worker } = place
      this.#put(place, fresh, true)
      place.crashes = 0
      this.#watch(place)
      if (worker) await this.#end(worker)
    }
  }

  async #stop(): Promise<void> {
    const ending = this.#places.map(place => {
      this.#options.clock.clearTimeout(place.timer)
      return place.worker && this.#end(place.worker)
    })
    await Promise.all(ending)
    // It ends the one that it has just begun.
    await this.#restarting?.catch(() => undefined)
  }

  #put(place: Place, worker: WorkerProcess, isListening = false): void {
    this.#options.clock.clearTimeout(place.timer)
    place.worker = worker
    place.listens = isListening
    place.since = this.#options.clock.now()
    if (isListening) return
    void worker.listening.then(() => {
      if (place.worker === worker) place.listens = true
    })
  }

  /** Begins a worker anew when it ends by itself. */
  #watch(place: Place): void {
    const { worker } = place
    void worker?.ended.then(ended => {
      if (place.worker !== worker || this.#status !== 'running') return
      const { clock, log, fork } = this.#options
      place.worker = undefined
      if (clock.now() - place.since >= STEADY) place.crashes = 0
      const delay = Math.min(FIRST_DELAY * 2 ** place.crashes++, LONGEST_DELAY)
      log.error('a worker has ended; another one follows', { pid: worker.pid, ended: how(ended), delay })
      place.timer = clock.setTimeout(() => {
        this.#put(place, fork())
        this.#watch(place)
      }, delay)
    })
  }

  async #end(worker: WorkerProcess): Promise<void> {
    const { clock, patience, log } = this.#options
    worker.kill('SIGTERM')
    const timer = clock.setTimeout(() => {
      log.warn('a worker did not end in time and is killed', { pid: worker.pid, patience })
      worker.kill('SIGKILL')
    }, patience)
    await worker.ended
    clock.clearTimeout(timer)
  }
}

function wrongTime(text: string): SocketStreamError {
  return new SocketStreamError('INVALID_STATE', text)
}
