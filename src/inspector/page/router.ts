import { useEffect, useState } from 'preact/hooks'

/** Where the page is: a panel, and what is chosen in it. */
export interface Place {
  readonly panel: string
  readonly chosen: string | undefined
}

/** The address of a place within the page. */
export function linkTo(panel: string, chosen?: string): string {
  return chosen === undefined ? `#${panel}` : `#${panel}/${encodeURIComponent(chosen)}`
}

/** Where the page is now, which the address says; follows it. */
export function usePlace(): Place {
  const [place, setPlace] = useState(placeNow)
  useEffect(() => {
    const follow = (): void => setPlace(placeNow())
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  return place
}

function placeNow(): Place {
  const [panel = '', chosen] = location.hash.slice(1).split('/', 2)
  try {
    return {
      panel: panel || 'overview',
      chosen: chosen === undefined ? undefined : decodeURIComponent(chosen),
    }
  } catch {
    return { panel: 'overview', chosen: undefined }
  }
}
