// @ts-check
/** Where files are kept: a folder here. A bucket elsewhere can take its place, behind the same four functions. */
import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * @typedef {object} Part a file that is on its way
 * @property {(piece: Uint8Array) => Promise<void>} write resolves when the next piece can be taken
 * @property {(name: string) => Promise<void>} keep makes it a file of this name, in place of one that is there
 * @property {() => Promise<void>} close lets go of it, and removes what was not kept
 * @typedef {{ begin: () => Promise<Part> }} Storage
 */

/** Keeps files in a folder, which must exist. @param {string} folder @returns {Storage} */
export function folderStorage(folder) {
  return {
    async begin() {
      // A name of our own: what clients call their files is of no use for a path.
      const path = join(folder, `${randomUUID()}.part`)
      const file = await open(path, 'wx')
      return {
        write: piece => file.appendFile(piece),
        async keep(name) {
          await file.sync()
          await rename(path, join(folder, name))
        },
        async close() {
          await file.close()
          await rm(path, { force: true })
        },
      }
    },
  }
}
