import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { BrowserAsset, ServiceDefinition } from '../services/service.js'

/** A service of the server, as far as browsers are concerned. */
export interface NamedService {
  readonly name: string
  readonly definition: ServiceDefinition
}

/** One line of `browserAssets()`. */
export interface ServedAsset extends BrowserAsset {
  /** The service it belongs to; undefined for the client itself. */
  readonly service: string | undefined
}

/** The package's own files for browsers, built into `dist/browser`, and those of public services. */
export function browserAssets(
  services: readonly NamedService[],
  ofTransport: readonly unknown[] = [],
): readonly ServedAsset[] {
  return [
    prebuilt('client.js', 'js'),
    prebuilt('client.js.map', 'map'),
    prebuilt('client.json.js', 'js'),
    prebuilt('client.json.js.map', 'map'),
    ...ofTransport.map(asset => ({ ...servable(asset), service: undefined })),
    ...serviceAssets(services),
  ]
}

/** What public services add. */
export function serviceAssets(services: readonly NamedService[]): readonly ServedAsset[] {
  return publicOnly(services).flatMap(({ name, definition }) =>
    (definition.browserAssets ?? []).map(asset => ({ ...servable(asset), service: name })),
  )
}

/** An asset of 0.4 is `{ filename, type }`. */
function servable(asset: unknown): BrowserAsset {
  const { filename } = asset as { filename?: unknown }
  if (typeof filename !== 'string') return asset as BrowserAsset
  const { type } = asset as Pick<BrowserAsset, 'type'>
  return { path: basename(filename), type, contents: () => readFile(filename, 'utf8') }
}

/** The services that browsers may know of. */
export function publicOnly<Service extends NamedService>(services: readonly Service[]): readonly Service[] {
  return services.filter(({ definition }) => definition.private !== true)
}

/** Reads a file of `dist/browser`. */
export function readPrebuilt(name: string): Promise<string> {
  // The same place seen from `src/` and from `dist/`.
  return readFile(new URL(`../../dist/browser/${name}`, import.meta.url), 'utf8')
}

function prebuilt(path: string, type: BrowserAsset['type']): ServedAsset {
  return { service: undefined, path, type, contents: () => readPrebuilt(path) }
}
