import { realpathSync, statSync } from 'node:fs'
import { relative, resolve, sep } from 'node:path'
import { SocketStreamError } from '../../errors.js'

/** The folders that are watched: which files are theirs, and how these are named. */
export class Folders {
  /** Absolute, without symbolic links: a watcher that follows none would not look behind them. */
  readonly paths: readonly string[]
  readonly #ignored: RegExp | ((path: string) => boolean) | undefined

  /** @throws SocketStreamError `INVALID_OPTION` when one is not there, or is no folder */
  constructor(root: string, dirs: readonly string[], ignored?: RegExp | ((path: string) => boolean)) {
    this.paths = dirs.map(dir => realFolder(resolve(root, dir)))
    this.#ignored = ignored
  }

  /**
   * The path from the innermost folder that a file is in, with `/`; undefined when it is in none.
   *
   * The innermost makes the shortest path, which is at the end of every longer one.
   */
  nameOf(path: string): string | undefined {
    let shortest: string | undefined
    for (const folder of this.paths) {
      const name = relative(folder, path)
      const inside = name !== '..' && !name.startsWith(`..${sep}`) && resolve(folder, name) === resolve(path)
      if (inside && (shortest === undefined || name.length < shortest.length)) shortest = name
    }
    return shortest?.split(sep).join('/')
  }

  /** Whether a file or folder is not to be watched. */
  ignores(path: string): boolean {
    const name = this.nameOf(path)
    // What a folder is in is watched for the folder's return.
    if (name === undefined) return !this.paths.some(folder => !relative(path, folder).startsWith('..'))
    if (name === '') return false
    if (/(^|\/)(\.|node_modules(\/|$))/.test(name)) return true
    if (typeof this.#ignored === 'function') return this.#ignored(name)
    // Not `test`, which goes on from the last match if the expression is global.
    return this.#ignored !== undefined && name.search(this.#ignored) >= 0
  }
}

function realFolder(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path)
  } catch (cause) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      `livereload: \`dirs\` names a folder that cannot be read: ${path}; create it or give another one`,
      { cause },
    )
  }
  throw new SocketStreamError(
    'INVALID_OPTION',
    `livereload: \`dirs\` names what is no folder: ${path}; give the folder it is in`,
  )
}
