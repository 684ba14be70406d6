import { type Clock, systemClock } from '../../actors/runtime/timer-wheel.js'
import { hasCode } from '../../errors.js'
import type { ServiceClient, ServiceDefinition, ServiceServer } from '../service.js'
import { Changes } from './changes.js'
import { livereloadTextClient } from './classic.js'
import { type LivereloadClient, livereloadClient } from './client.js'
import { Folders } from './folders.js'
import { checkOptions, type LivereloadOptions } from './options.js'
import { chokidarWatch, type WatchFolders } from './watcher.js'

/** A livereload service. */
export interface LivereloadService extends ServiceDefinition {
  readonly private?: false
  readonly clientModule: { readonly url: URL; readonly export: string }
  server(server: ServiceServer): Promise<void>
  client(client: ServiceClient): LivereloadClient
}

/** What it needs from outside. */
export interface LivereloadParts {
  readonly clock: Clock
  readonly watch: WatchFolders
}

/**
 * A service that tells pages of changed files: style sheets are swapped, all else reloads the page.
 *
 * Needs the package `chokidar`. It does nothing when the server's `env` is `production`, unless `force`
 * is set.
 *
 * @throws SocketStreamError `INVALID_OPTION`. Starting it throws that for a folder that is not there, and
 *   `PACKAGE_MISSING` without chokidar
 * @example app.service('livereload', livereload({ dirs: ['public'] }))
 */
export function livereload(options: LivereloadOptions): LivereloadService {
  return livereloadOf(options, { clock: systemClock, watch: chokidarWatch() })
}

/** `livereload` with a clock and a watcher of one's own, for tests. */
export function livereloadOf(options: LivereloadOptions, parts: LivereloadParts): LivereloadService {
  checkOptions(options)
  const { interval = 1000, force = false } = options
  // Copies: what is changed after the check would not be checked.
  const dirs = [...options.dirs]
  const { ignored } = options
  return {
    type: 'livereload',
    use: { json: true },
    clientModule: {
      // The same place seen from `src/` and from `dist/`.
      url: new URL(import.meta.url.endsWith('.ts') ? './client.ts' : './client.js', import.meta.url),
      export: 'livereloadClient',
    },
    async server(server) {
      if (server.env === 'production' && !force) {
        server.log.debug('livereload is off in production; `force: true` turns it on')
        return
      }
      const folders = new Folders(server.root, dirs, ignored)
      const changes = new Changes({
        clock: parts.clock,
        interval,
        send: message => server.broadcast(message),
      })
      const watching = await parts.watch(folders, {
        changed(path, removed) {
          const name = folders.nameOf(path)
          if (name !== undefined) changes.add(name, removed)
        },
        failed: onceEach(error => server.log.warn('a folder cannot be watched in full', { error })),
      })
      server.onstop = () => {
        changes.stop()
        return watching.close()
      }
    },
    client: livereloadClient.client,
    textClient: livereloadTextClient,
  }
}

/** Passes on the first error of each code: a limit of the system fails once for every folder. */
function onceEach(tell: (error: unknown) => void): (error: unknown) => void {
  const told = new Set<string>()
  return error => {
    const code = hasCode(error) ? error.code : String(error)
    if (told.has(code) || told.size >= 100) return
    told.add(code)
    tell(error)
  }
}
