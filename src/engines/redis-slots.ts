/** Slots of a Redis Cluster. */
const SLOTS = 16_384

/**
 * The slot of a key or channel: of what is in its first pair of braces, if there is something.
 *
 * By the CRC-16 of XMODEM, as in the cluster specification of Redis.
 */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  let crc = 0
  for (const byte of Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1
  }
  return crc % SLOTS
}
