import type { EventEmitter } from 'node:events'

// biome-ignore lint/suspicious/noExplicitAny: what express-session's own types say, which users may not have
type Loose = any

/** A store as express-session takes it: its `Store` by shape, so that its types need not be installed. */
export interface WebStore extends EventEmitter {
  get(id: string, done: (error: Loose, data?: Loose) => void): void
  set(id: string, data: Loose, done?: (error?: Loose) => void): void
  destroy(id: string, done?: (error?: Loose) => void): void
  load(id: string, done: (error: Loose, data?: Loose) => Loose): void
  regenerate(request: Loose, done: (error?: Loose) => Loose): void
  createSession(request: Loose, data: Loose): Loose
  /** Present if the store has it. */
  touch?(id: string, data: Loose, done?: () => void): void
  /** Present if the store has it. */
  all?(done: (error: Loose, data?: Loose) => void): void
  /** Present if the store has it. */
  length?(done: (error: Loose, length?: number) => void): void
  /** Present if the store has it. */
  clear?(done?: (error?: Loose) => void): void
}
