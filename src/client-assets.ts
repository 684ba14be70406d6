import { readFile } from 'node:fs/promises'
import type { BrowserAsset } from './services/service.js'

/** The package's own files for browsers, built into `dist/browser`. */
export function clientAssets(): readonly BrowserAsset[] {
  return [
    asset('client.js', 'js'),
    asset('client.js.map', 'map'),
    asset('client.json.js', 'js'),
    asset('client.json.js.map', 'map'),
  ]
}

function asset(path: string, type: BrowserAsset['type']): BrowserAsset {
  // The same place seen from `src/` and from `dist/`.
  const file = new URL(`../dist/browser/${path}`, import.meta.url)
  return { path, type, contents: () => readFile(file, 'utf8') }
}
