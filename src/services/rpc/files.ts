import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { SocketStreamError } from '../../errors.js'
import type { Actions } from './action.js'
import { checkName } from './handlers.js'

const EXTENSIONS = new Set(['.js', '.cjs', '.mjs'])

/**
 * Loads a folder of actions: `demo.js` becomes `demo`, `admin/users.js` becomes `admin.users`.
 *
 * Takes CommonJS and ES modules, the latter without top-level `await`. Other files and names
 * that begin with a dot are left alone.
 *
 * @throws SocketStreamError `INVALID_OPTION` naming the file: it does not load, exports no function
 *   `actions`, has a reserved name or one with a dot, or two files share a name
 */
export function loadActions(dir: string): Map<string, Actions> {
  const files = new Map<string, Actions>()
  collect(dir, '', createRequire(join(dir, 'actions.js')), files)
  return files
}

function collect(dir: string, prefix: string, load: NodeJS.Require, files: Map<string, Actions>): void {
  for (const entry of entriesOf(dir)) {
    if (entry.name.startsWith('.')) continue
    const path = join(dir, entry.name)
    const extension = extname(entry.name)
    if (entry.isDirectory()) {
      checkName(entry.name, path)
      collect(path, `${prefix}${entry.name}.`, load, files)
    } else if (EXTENSIONS.has(extension)) {
      const name = entry.name.slice(0, -extension.length)
      checkName(name, path)
      if (files.has(prefix + name))
        throw invalid(`rpc: there are two files for '${prefix}${name}'; rename ${path}`)
      files.set(prefix + name, loadFile(path, load))
    }
  }
}

function entriesOf(dir: string) {
  try {
    // by name, so that of two faults everybody is told the same one
    return readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (cause) {
    const fix = "create it, or name another: rpc({ dir: 'path/from/root' })"
    throw invalid(`rpc: the folder of actions ${dir} cannot be read; ${fix}`, cause)
  }
}

function loadFile(path: string, load: NodeJS.Require): Actions {
  let loaded: { actions?: unknown; default?: { actions?: unknown } | null } | null | undefined
  try {
    loaded = load(path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalid(`rpc: ${path} does not load: ${reason}`, cause)
  }
  const actions = loaded?.actions ?? loaded?.default?.actions
  if (typeof actions === 'function') return actions as Actions
  throw invalid(`rpc: ${path} must export a function: exports.actions = (req, res, ss) => ({ ... })`)
}

function invalid(message: string, cause?: unknown): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', message, { cause })
}
