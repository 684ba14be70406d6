// @ts-check
/** A service that takes files, and keeps each under the hash of its content. */
import { createHash } from 'node:crypto'
import { SocketStreamError } from 'socketstream-server'
import { rpc } from 'socketstream-server/services/rpc'
import half from './store-client.js'

/**
 * @param {{ storage: import('./storage.js').Storage, maxBytes: number }} options `maxBytes` is the most that a file may have
 */
export function store({ storage, maxBytes }) {
  const handlers = {
    /**
     * Takes a file piece by piece, and answers with how much of it is stored.
     *
     * The next piece is asked for when the last one is written, so a slow disk slows the page down.
     *
     * @param {unknown} _ctx
     * @param {AsyncIterable<unknown>} pieces
     * @returns {AsyncGenerator<import('./store-client.js').Progress>}
     */
    async *store(_ctx, pieces) {
      if (typeof pieces?.[Symbol.asyncIterator] !== 'function') {
        throw new SocketStreamError('INVALID_ARGUMENTS', 'A file comes as an upload(…)')
      }
      const part = await storage.begin()
      const hash = createHash('sha256')
      let bytes = 0
      try {
        for await (const piece of pieces) {
          if (!(piece instanceof Uint8Array)) {
            throw new SocketStreamError('INVALID_ARGUMENTS', 'A file is uploaded as bytes')
          }
          bytes += piece.length
          if (bytes > maxBytes) {
            throw new SocketStreamError('INVALID_ARGUMENTS', `A file has at most ${maxBytes} bytes`)
          }
          hash.update(piece)
          await part.write(piece)
          yield { bytes }
        }
        const sha256 = hash.digest('hex')
        await part.keep(sha256)
        yield { bytes, sha256 }
      } finally {
        // Also when the page cancels, or has gone.
        await part.close()
      }
    },
  }
  return { ...rpc(handlers), ...half, clientModule: { url: new URL('./store-client.js', import.meta.url) } }
}
