/** What each byte makes of the checksum. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** Slots of a Redis Cluster. */
export const SLOTS = 16_384

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
    crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte]!
  }
  return crc % SLOTS
}
