/** Bounds of one connection of the soak test's server. */
export const LIMITS = {
  maxFrame: 256 * 1024,
  inboundBytes: 512 * 1024,
  outboundBytes: 1024 * 1024,
  handshake: 5000,
  ping: 5000,
}

/** What it keeps for clients that are away: little enough for an attack to reach both bounds. */
export const RESUME = { bytes: 512 * 1024, total: 32 * 1024 * 1024, connections: 300 }
