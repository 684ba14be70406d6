import type { TextClient } from '../service.js'

/**
 * The client half for clients of SocketStream 0.4: reloads the page, whatever has changed.
 *
 * It names nothing outside itself and the page, as its source is sent.
 */
export function livereloadTextClient(client: TextClient): void {
  let reloading = false
  client.onmessage = () => {
    if (reloading || typeof location === 'undefined') return
    reloading = true
    location.reload()
  }
}
