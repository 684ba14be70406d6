import { SocketStreamError } from '../../errors.js'
import type { Folders } from './folders.js'

/** What a watcher tells. */
export interface WatchHandler {
  /** A file was written, added or removed; its path is absolute. */
  changed(path: string, removed: boolean): void
  failed(error: unknown): void
}

/** A watcher at work. */
export interface Watching {
  close(): Promise<void>
}

/** Watches folders; resolves once it hears every change. */
export type WatchFolders = (folders: Folders, handler: WatchHandler) => Promise<Watching>

/** chokidar as far as it is used: its own types are not there for everybody's compiler. */
interface Chokidar {
  watch(
    paths: string[],
    options: { ignored(path: string): boolean; ignoreInitial: boolean; followSymlinks: boolean },
  ): ChokidarWatcher
}

interface ChokidarWatcher {
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'all', listener: (event: string, path: string) => void): unknown
  once(event: 'ready', listener: () => void): unknown
  add(path: string): unknown
  close(): Promise<void>
}

/**
 * Makes a `WatchFolders` of chokidar, which is loaded when it first watches.
 *
 * @param load tests give another one
 * @throws SocketStreamError `PACKAGE_MISSING`, from what it returns, without chokidar
 */
export function chokidarWatch(load: () => Promise<Chokidar> = () => import('chokidar')): WatchFolders {
  return async (folders, handler) => {
    const { watch } = await load().catch(cause => {
      throw new SocketStreamError(
        'PACKAGE_MISSING',
        'livereload needs the package chokidar: npm install chokidar (on Node 20: npm install chokidar@5)',
        { cause },
      )
    })
    const watcher = watch([...folders.paths], {
      ignored(path) {
        try {
          return folders.ignores(path)
        } catch (error) {
          // The application's own function; thrown on from here it would end the process.
          handler.failed(error)
          return false
        }
      },
      ignoreInitial: true,
      followSymlinks: false,
    })
    let ready = false
    watcher.on('error', error => handler.failed(error))
    watcher.on('all', (event, path) => {
      // A folder that comes back is another one to the system, and would not be heard of.
      if (event === 'unlinkDir' && folders.paths.includes(path)) watcher.add(path)
      // Links are told of while it gets ready, whatever `ignoreInitial` says.
      if (ready && !event.endsWith('Dir')) handler.changed(path, event === 'unlink')
    })
    await new Promise<void>(resolve => watcher.once('ready', resolve))
    ready = true
    return watcher
  }
}
