import { mayReconnect } from '../errors.js'
import type { FallbackEntry } from './fallback.js'

/** Where the name of the way that worked is kept. What it throws counts as nothing there. */
export interface Memory {
  get(): string | null | undefined
  set(name: string): void
}

/** A way with the whole address it is tried at. */
export interface Way extends FallbackEntry {
  readonly url: string
}

/** How a way ended that did not work. */
export interface Failure {
  readonly name: string
  readonly code: number
  readonly reason: string
}

/** Characters of each way's reason: enough for the name of a package that is missing. */
const REASON_LENGTH = 60
/** Codes that say no more than that the link is gone. */
const MUTE = new Set([1005, 1006])

/** The ways with their addresses. @throws Error when one is no URL */
export function addressed(entries: readonly FallbackEntry[], base: string): Way[] {
  const start = new URL(base)
  return entries.map(entry => {
    const url = new URL(entry.url ?? start, start)
    const secure = /^(http|ws)(s?):$/.exec(url.protocol)?.[2]
    if (secure === undefined) throw new Error(`${url.protocol} is none of http:, https:, ws: and wss:`)
    url.protocol = (entry.name === 'ws' ? 'ws' : 'http') + secure
    url.search ||= start.search
    // `WebSocket` takes none, and no server would see it.
    url.hash = ''
    return { ...entry, url: url.href }
  })
}

/** The ways, that of this name first. */
export function first(ways: readonly Way[], name: string | undefined): Way[] {
  const rest = [...ways]
  const at = ways.findIndex(way => way.name === name)
  return at < 0 ? rest : [...rest.splice(at, 1), ...rest]
}

/** The name in a memory, if it can be had. */
export function recalled(memory: Memory): string | undefined {
  try {
    return memory.get() ?? undefined
  } catch {
    return undefined
  }
}

/** The memory of a browser's tab, by the client's URL; that of the `names` where there is none. */
export function tabMemory(url: string, names: Map<string, string>): Memory {
  const key = `socketstream-transport ${url}`
  const kept: Memory = {
    get: () => sessionStorage.getItem(key),
    set: name => sessionStorage.setItem(key, name),
  }
  return {
    get: () => recalled(kept) ?? names.get(url),
    set(name) {
      names.set(url, name)
      kept.set(name)
    },
  }
}

/**
 * What is said of ways that all failed.
 *
 * The code is the last that says something, among those that allow coming back if there are any: while
 * one way may be there the next time, the client must try.
 */
export function summary(failures: readonly Failure[]): { code: number; reason: string } {
  const hopeful = failures.filter(({ code }) => mayReconnect(code))
  const codes = (hopeful.length > 0 ? hopeful : failures).map(({ code }) => code)
  const reasons = failures.map(
    ({ name, code, reason }) => `${name}: ${(reason || `${code}`).slice(0, REASON_LENGTH)}`,
  )
  return { code: codes.findLast(code => !MUTE.has(code)) ?? 1006, reason: reasons.join('; ') }
}
