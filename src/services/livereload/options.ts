import { SocketStreamError } from '../../errors.js'

/** Options of `livereload`. */
export interface LivereloadOptions {
  /** The folders to watch, with all below them: absolute, or relative to the server's `root`. */
  readonly dirs: readonly string[]
  /**
   * What not to watch, besides what begins with a dot and `node_modules`.
   *
   * Asked with a path relative to its folder, such as `css/old.css`, of files and folders.
   */
  readonly ignored?: RegExp | ((path: string) => boolean)
  /** Milliseconds between two messages, at least. Default 1,000. */
  readonly interval?: number
  /** Watch in production, too. Default false. */
  readonly force?: boolean
}

/** The longest that a timer can wait. */
const MAX_MS = 2 ** 31 - 1

const CHECKS: Readonly<
  Record<keyof LivereloadOptions, { test(value: unknown): boolean; wants: string; fix: string }>
> = {
  dirs: {
    test: value =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every(dir => typeof dir === 'string' && dir !== '' && !dir.includes('\0')),
    wants: 'a list of folders',
    fix: "dirs: ['public']",
  },
  ignored: {
    test: value => value === undefined || typeof value === 'function' || value instanceof RegExp,
    wants: 'a regular expression or a function (path) => boolean',
    fix: 'ignored: /\\.map$/',
  },
  interval: {
    test: value => value === undefined || (isWhole(value) && value >= 1 && value <= MAX_MS),
    wants: 'a whole number of milliseconds, at least 1',
    fix: 'interval: 1000',
  },
  force: {
    test: value => value === undefined || typeof value === 'boolean',
    wants: 'true or false',
    fix: 'force: true',
  },
}

/**
 * Checks the options of `livereload`; whether the folders are there is looked at when it starts.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function checkOptions(options: LivereloadOptions): void {
  const given = (options ?? {}) as unknown as Record<string, unknown>
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(CHECKS, name)) continue
    const names = Object.keys(CHECKS).join(', ')
    throw new SocketStreamError('INVALID_OPTION', `livereload: there is no option '${name}', only ${names}`)
  }
  for (const [name, { test, wants, fix }] of Object.entries(CHECKS)) {
    if (test(given[name])) continue
    throw new SocketStreamError(
      'INVALID_OPTION',
      `livereload: \`${name}\` must be ${wants}; give livereload({ ${fix} })`,
    )
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
