/** Bounds of one connection of the soak test's server. */
export const LIMITS = {
  maxFrame: 256 * 1024,
  inboundBytes: 512 * 1024,
  outboundBytes: 1024 * 1024,
  handshake: 5000,
  ping: 5000,
}
