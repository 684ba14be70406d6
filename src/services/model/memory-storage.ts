import type { ModelStorage, Stored } from './storage.js'

/** A storage in the memory of this process: gone with it, and not shared with other servers. */
// biome-ignore lint/suspicious/noExplicitAny: what it holds is said by the schema, or not at all
export function memoryStorage<R = any>(): ModelStorage<R> {
  const texts = new Map<string, { readonly text: string; readonly version: number }>()
  /** One counter for all records: a version is not used again, even when its record has been removed. */
  let versions = 0
  // As text, so that nobody changes by accident what stands here.
  const put = (id: string, record: R): number => {
    texts.set(id, { text: JSON.stringify(record), version: ++versions })
    return versions
  }
  const read = ({ text, version }: { text: string; version: number }): Stored<R> => {
    return { record: JSON.parse(text), version }
  }
  return {
    load(id) {
      const found = texts.get(id)
      return found && read(found)
    },
    list({ matches, limit }) {
      const found: Stored<R>[] = []
      for (const entry of texts.values()) {
        const stored = read(entry)
        if (!matches(stored.record)) continue
        found.push(stored)
        if (found.length === limit) break
      }
      return found
    },
    create: (id, record) => (texts.has(id) ? undefined : put(id, record)),
    update: (id, record, version) => (texts.get(id)?.version === version ? put(id, record) : undefined),
    remove: (id, version) => texts.get(id)?.version === version && texts.delete(id),
  }
}
