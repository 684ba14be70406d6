import type { LevelLogger, LogLevel, LogTarget } from '../log.js'

/** Hears every line, whatever the level is. */
export type LineListener = (
  level: LogLevel,
  name: string,
  message: string,
  details: object | undefined,
) => void

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/**
 * Stands between a server and the application's log: passes lines on by their level, and lets a viewer hear them.
 *
 * Without a listener it looks at the level and passes on; nothing is kept here.
 */
export class LogHub {
  /** What goes to the application's log is of this level at least. */
  level: LogLevel = 'debug'
  readonly #target: LogTarget | undefined
  readonly #listeners = new Set<LineListener>()

  constructor(target: LogTarget | undefined) {
    this.#target = target
  }

  /** What loggers are made of. */
  readonly target: LevelLogger = {
    debug: (details, message) => this.#line('debug', details, message),
    info: (details, message) => this.#line('info', details, message),
    warn: (details, message) => this.#line('warn', details, message),
    error: (details, message) => this.#line('error', details, message),
  }

  /** Calls back with every line from now on; returns what ends it. */
  listen(listener: LineListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #line(level: LogLevel, given: object, message: string): void {
    if (isAtLeast(level, this.level)) this.#pass(level, given, message)
    if (this.#listeners.size === 0) return
    const { name, ...details } = given as { readonly name: string }
    const more = Object.keys(details).length > 0 ? details : undefined
    for (const listener of this.#listeners) listener(level, name, message, more)
  }

  /** As `createLogger` would have called the target itself. */
  #pass(level: LogLevel, given: object, message: string): void {
    const target = this.#target
    if (target === undefined) return
    if (typeof target !== 'function') return target[level](given, message)
    const { name, ...details } = given as { readonly name: string }
    if (Object.keys(details).length === 0) target(`[${name}] ${level}: ${message}`)
    else target(`[${name}] ${level}: ${message}`, details)
  }
}

/** Whether a level is another one or above it. */
export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least)
}

/** Whether something is the name of a level. */
export function isLevel(name: unknown): name is LogLevel {
  return LEVELS.includes(name as LogLevel)
}
