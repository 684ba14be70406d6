import type { ServiceClient } from '../service.js'

/** What can be listened to. A listener that returns false prevents what would be done. */
export interface LivereloadEvents {
  /** Style sheets have changed, by their paths from the folders that are watched; they will be swapped. */
  css: (paths: readonly string[]) => unknown
  /** Something else has changed; the page will be reloaded. */
  reload: () => unknown
}

/** The client of a livereload service. It acts by itself once it is there. */
export interface LivereloadClient {
  /** Listens, before anything is done; returns a function that ends it. */
  on<Event extends keyof LivereloadEvents>(event: Event, listener: LivereloadEvents[Event]): () => void
}

/**
 * The client half of livereload: swaps style sheets, reloads the page.
 *
 * Outside of browsers it only tells its listeners.
 *
 * @example
 * const client = createClient({ url, services: { livereload: livereloadClient } })
 * await client.connect()
 * client.api.livereload // from here on it acts
 */
export const livereloadClient = {
  eager: true,
  client(service: ServiceClient): LivereloadClient {
    const listeners = {
      css: new Set<LivereloadEvents['css']>(),
      reload: new Set<LivereloadEvents['reload']>(),
    }
    let reloading = false
    service.onmessage = message => {
      const { css, reload } = (message ?? {}) as { css?: unknown; reload?: unknown }
      if (reload === true) {
        if (!allowed(listeners.reload) || reloading || typeof document === 'undefined') return
        reloading = true
        location.reload()
      } else if (Array.isArray(css)) {
        if (allowed(listeners.css, css) && !reloading && typeof document !== 'undefined') swapStyles(css)
      }
    }
    return {
      on(event, listener) {
        const set = listeners[event] as Set<typeof listener>
        set.add(listener)
        return () => void set.delete(listener)
      },
    }
  },
}

/** Tells listeners; whether none of them objects. */
function allowed<Args extends unknown[]>(
  listeners: ReadonlySet<(...args: Args) => unknown>,
  ...args: Args
): boolean {
  let allow = true
  for (const listener of [...listeners]) {
    try {
      if (listener(...args) === false) allow = false
    } catch (error) {
      // One that fails must not keep the page as it was.
      queueMicrotask(() => {
        throw error
      })
    }
  }
  return allow
}

/** Links that another one is about to replace. */
const replaced = new Map<HTMLLinkElement, HTMLLinkElement>()

/** Swaps the links to these files; all links when one is nowhere, as others may import it. */
function swapStyles(paths: readonly string[]): void {
  const coming = new Set(replaced.values())
  const links = [...document.querySelectorAll<HTMLLinkElement>('link[rel~="stylesheet" i][href]')].filter(
    link => !coming.has(link) && URL.canParse(link.href) && new URL(link.href).origin === location.origin,
  )
  const fits = (link: HTMLLinkElement, path: string): boolean => pathOf(link).endsWith(normal(`/${path}`))
  const found = paths.every(path => links.some(link => fits(link, path)))
  for (const link of links) if (!found || paths.some(path => fits(link, path))) swap(link)
}

/** Puts a link to the file as it is now behind the old one, which goes when that has loaded. */
function swap(link: HTMLLinkElement): void {
  replaced.get(link)?.remove()
  const url = new URL(link.href)
  const query = url.search.replace(/[?&]livereload=\w+$/, '')
  url.search = `${query}${query === '' ? '?' : '&'}livereload=${Date.now().toString(36)}`
  // Links that are off load nothing, so nothing would come of waiting.
  if (link.disabled) {
    link.href = url.href
    return
  }
  const next = link.cloneNode() as HTMLLinkElement
  next.href = url.href
  const settle = (obsolete: HTMLLinkElement) => (): void => {
    if (replaced.get(link) !== next) return
    replaced.delete(link)
    obsolete.remove()
  }
  next.addEventListener('load', settle(link))
  next.addEventListener('error', settle(next))
  replaced.set(link, next)
  link.after(next)
}

/** The path that a link asks for, as text. */
function pathOf(link: HTMLLinkElement): string {
  const { pathname } = new URL(link.href)
  try {
    return normal(decodeURIComponent(pathname))
  } catch {
    return pathname
  }
}

/** File systems and pages may write the same letter in one character or in two. */
function normal(path: string): string {
  return path.normalize()
}
