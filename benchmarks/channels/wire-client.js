/**
 * A bare client of a channels service that speaks JSON over the memory transport: as little as can be, so that what is
 * measured is the server's.
 *
 * @param {import('socketstream-server/transports/memory').MemoryTransport} transport
 */
export async function wireClient(transport) {
  const link = await transport.connect()
  let id = -1
  /** @type {Map<number, (text: string) => void>} */
  const waiting = new Map()
  /** @type {(value: undefined) => void} */
  let welcomed = () => {}
  const ready = new Promise(resolve => {
    welcomed = resolve
  })
  link.listen({
    frame(frame) {
      const text = String(frame)
      const [kind, about] = text.slice(1, 20).split(',', 2).map(Number)
      if (kind === 17) welcomed(undefined)
      else if (kind === 3) throw new Error(text)
      else if (kind === 2) {
        waiting.get(about)?.(text)
        waiting.delete(about)
      }
    },
  })
  link.send('[16,{"v":1}]')
  await ready
  return {
    /**
     * Subscribes a channel, from a position if there is one; resolves to the answer as it came.
     *
     * @param {string} channel
     * @param {[epoch: string, offset: number]} [since]
     * @returns {Promise<string>}
     */
    subscribe(channel, since) {
      id += 2
      link.send(JSON.stringify([1, 1, id, ['subscribe', channel, ...(since ? [since] : [])]]))
      return new Promise(resolve => waiting.set(id, resolve))
    },
    close: () => link.close(1000, ''),
  }
}
