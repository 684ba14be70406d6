import { join } from 'node:path'

/** A module of the benchmarks, which are plain JavaScript: typed by who takes it. */
export function benchmark<Module>(path: string): Promise<Module> {
  return import(join(import.meta.dirname, '../../benchmarks', path))
}
