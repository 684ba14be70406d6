// @ts-check
/** The client half of the store: rpc with an upload. It is bundled into the client for browsers: nothing from Node here. */
import { rpcUploads, upload } from 'socketstream-server/client/uploads'

/** @typedef {{ bytes: number, sha256?: string }} Progress what is stored so far; the last one has the hash */

/** Bytes of a piece. At most `limits.credit` pieces, 4 MiB of 64, are ahead of the server. */
const PIECE = 64 * 1024

export default {
  stateless: true,
  /** @param {import('socketstream-server').ServiceClient} service */
  client(service) {
    const rpc = /** @type {{ store(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Progress> }} */ (
      /** @type {unknown} */ (rpcUploads.client(service))
    )
    return {
      /** Stores a file; says how far the server is. @param {Blob} file */
      store: file => rpc.store(upload(piecesOf(file))),
    }
  },
}

/** Reads a file as it is asked for: the whole of it is never in memory. @param {Blob} file */
async function* piecesOf(file) {
  for (let at = 0; at < file.size; at += PIECE) {
    yield new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer())
  }
}
