// @ts-check
/** The client half of the counter. It is bundled into the client for browsers: nothing from Node here. */

/** What the server half says: where the counter stands. @typedef {(count: number) => void} Listener */

export default {
  /** @param {import('socketstream-server').ServiceClient} service */
  client(service) {
    /** @type {Set<Listener>} */
    const listeners = new Set()
    service.onmessage = count => {
      for (const listener of listeners) listener(/** @type {number} */ (count))
    }
    return {
      /** Adds to the counter; resolves to where it stands then. @param {number} by */
      add: by => /** @type {Promise<number>} */ (/** @type {Promise<unknown>} */ (service.call(by))),
      /** Listens to the counter. @param {Listener} listener */
      watch: listener => void listeners.add(listener),
    }
  },
}
