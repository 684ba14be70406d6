/**
 * The address of a path on the server that a module came from; undefined unless it came over HTTP.
 *
 * @param scheme `ws` where the transport wants `ws:` or `wss:`
 */
export function addressOf(path: string, module: string, scheme = 'http'): string | undefined {
  return /^http/.test(module) ? new URL(path, module).href.replace('http', scheme) : undefined
}
