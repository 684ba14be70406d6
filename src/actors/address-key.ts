/** Characters of an address that are looked at: a proxy can pass on anything. */
const LONGEST = 64

/**
 * What a client's address counts as: an IPv4 address, or the first 64 bits of an IPv6 one.
 *
 * A subscriber has at least a /64 of IPv6, and could have as many addresses as it likes. What is no address
 * counts as it is written.
 */
export function addressKey(address: string): string {
  const plain = address.slice(0, LONGEST).toLowerCase()
  if (!plain.includes(':')) return plain
  const groups = groupsOf(plain.split('%', 1)[0]!)
  if (groups === undefined) return plain
  const [a, b, c, d, e, f, g, h] = groups as [number, number, number, number, number, number, number, number]
  // IPv4 in the clothes of IPv6 (RFC 4291, 2.5.5.2): all of it is in one /64.
  if (a + b + c + d + e === 0 && f === 0xffff) return `${g >> 8}.${g & 255}.${h >> 8}.${h & 255}`
  return `${[a, b, c, d].map(group => group.toString(16)).join(':')}::/64`
}

/** The eight groups of an IPv6 address; undefined when it is none. */
function groupsOf(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left, right] = halves.map(half => (half === '' ? [] : half.split(':').flatMap(groupOf)))
  if (left === undefined) return undefined
  const given = left.length + (right?.length ?? 0)
  if (right === undefined ? given !== 8 : given > 7) return undefined
  const groups = [...left, ...new Array<number>(8 - given).fill(0), ...(right ?? [])]
  return groups.some(Number.isNaN) ? undefined : groups
}

/** The number of a group; the two of one in the form of IPv4. */
function groupOf(text: string): number[] {
  if (!text.includes('.')) return [/^[0-9a-f]{1,4}$/.test(text) ? Number.parseInt(text, 16) : Number.NaN]
  const parts = text
    .split('.')
    .map(part => (/^\d{1,3}$/.test(part) && Number(part) < 256 ? Number(part) : Number.NaN))
  if (parts.length !== 4) return [Number.NaN]
  const [a, b, c, d] = parts as [number, number, number, number]
  return [a * 256 + b, c * 256 + d]
}
