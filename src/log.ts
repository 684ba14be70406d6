/** How much a log line matters. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A logger with levels, of pino's shape: details first, then the message. */
export interface LevelLogger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** What `new Server({ log })` takes: a function like `console.log`, or a logger with levels. */
export type LogTarget = ((...args: unknown[]) => void) | LevelLogger

/**
 * The logger that services and transports get: callable, with levels, never throwing.
 *
 * Called as a function it logs at `info`.
 */
export interface Logger {
  (...args: unknown[]): void
  debug(message: string, details?: object): void
  info(message: string, details?: object): void
  warn(message: string, details?: object): void
  error(message: string, details?: object): void
}

/**
 * Makes a logger.
 *
 * @param target where lines go; nothing is logged without one
 * @param name put before each line of a function target, or as `name` in a level logger's details
 */
export function createLogger(target: LogTarget | undefined, name: string): Logger {
  const write = (level: LogLevel, message: string, details: object | undefined): void => {
    if (target === undefined) return
    try {
      if (typeof target === 'function') {
        if (details === undefined) target(`[${name}] ${level}: ${message}`)
        else target(`[${name}] ${level}: ${message}`, details)
      } else target[level]({ name, ...details }, message)
    } catch {
      // A logger that throws must not take a connection with it, and there is nobody to tell.
    }
  }
  const log = (...args: unknown[]): void => write('info', args.map(show).join(' '), undefined)
  return Object.assign(log, {
    debug: (message: string, details?: object) => write('debug', message, details),
    info: (message: string, details?: object) => write('info', message, details),
    warn: (message: string, details?: object) => write('warn', message, details),
    error: (message: string, details?: object) => write('error', message, details),
  })
}

function show(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Error) return value.stack ?? value.message
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

/** Milliseconds between two lines about the same thing. */
const SPARINGLY = 60_000

/** Lets a line through once a minute, for what clients could otherwise fill a log with. */
export class Sparingly {
  #last = Number.NEGATIVE_INFINITY
  #times = 0

  /** How often this was asked since a line was let through, this time included; 0: not now. */
  take(): number {
    this.#times++
    const now = Date.now()
    // Also when the clock was put back.
    if (Math.abs(now - this.#last) < SPARINGLY) return 0
    const times = this.#times
    this.#last = now
    this.#times = 0
    return times
  }
}

/** Kinds of lines that are told apart in one interval; the rest is one kind. */
const KINDS = 16

/** Writes one line for so many times, with the details of the last of them. */
export type WriteTimes = (times: number) => void

/**
 * Sums up what clients could fill a log with: of each kind the first time at once, then once a minute how often.
 *
 * At most 17 kinds at a time, which bounds lines and memory whatever clients send.
 */
export class Summary {
  /** Of each kind, how often since its last line. */
  readonly #kinds = new Map<string, { times: number; write: WriteTimes }>()
  #timer: NodeJS.Timeout | undefined

  /**
   * It has happened once more.
   *
   * @param kind such as a reason; those past the bound are one kind together
   * @param write writes the line: now or, for this and others, when the minute is over
   */
  add(kind: string, write: WriteTimes): void {
    const known = this.#kinds.has(kind) || this.#kinds.size < KINDS ? kind : ''
    const before = this.#kinds.get(known)
    this.#kinds.set(known, { times: before === undefined ? 0 : before.times + 1, write })
    this.#timer ??= setTimeout(() => this.#tell(), SPARINGLY).unref()
    if (before === undefined) write(1)
  }

  /** Writes at once what is left to tell, such as when the server stops. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const kinds = [...this.#kinds.values()]
    this.#kinds.clear()
    for (const { times, write } of kinds) if (times > 0) write(times)
  }

  #tell(): void {
    const before = [...this.#kinds]
    this.flush()
    // What has gone on goes on to be counted: its next line comes a minute after this one.
    for (const [kind, { times, write }] of before) if (times > 0) this.#kinds.set(kind, { times: 0, write })
    if (this.#kinds.size > 0) this.#timer = setTimeout(() => this.#tell(), SPARINGLY).unref()
  }
}
