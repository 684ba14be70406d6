/** A number for people: at most four digits and a unit. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size >= 1e9) return `${(value / 1e9).toFixed(1)} G`
  if (size >= 1e6) return `${(value / 1e6).toFixed(1)} M`
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)} k`
  return Number.isInteger(value) ? String(value) : value.toFixed(size < 10 ? 2 : 1)
}

/** A whole number in full, with its digits in threes. */
export function whole(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Bytes for people, in units of 1,024. */
export function bytes(value: number): string {
  if (value < 1024) return `${Math.round(value)} B`
  const power = Math.min(3, Math.floor(Math.log2(value) / 10))
  return `${(value / 1024 ** power).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`
}

/** Milliseconds for people. */
export function duration(ms: number): string {
  if (ms < 1000) return `${short(ms)} ms`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** The time of day with milliseconds. */
export function clock(at: number | undefined): string {
  if (at === undefined) return '–'
  const date = new Date(at)
  const two = (value: number): string => String(value).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}
