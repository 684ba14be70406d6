/** Gives the browser a file to save. */
export function download(name: string, type: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser has taken it once this turn is over.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** A name for a file made now. */
export function fileName(what: string, ending: string, at = new Date()): string {
  return `${what}-${at.toISOString().slice(0, 19).replaceAll(':', '')}.${ending}`
}
