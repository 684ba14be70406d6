import type { MachineContext } from './options.js'
import type { Stand } from './outlet.js'
import { type Change, patch } from './patch.js'
import type { Picture } from './picture.js'
import { Viewers, type ViewersHost } from './viewers.js'

/** The actor of a key as the viewers of one server see it, wherever it lives. */
export class Watched {
  readonly key: string
  readonly viewers: Viewers
  /** Viewers that are about to be. */
  coming = 0
  /** Where it lives, as far as that is known. */
  node: string | undefined
  /** For whom it is watched, should it have to be begun. */
  ctx: MachineContext
  /** The asking for it that is under way. */
  opening: Promise<void> | undefined
  /** The next one, which has not begun. */
  reopening: Promise<void> | undefined
  /** The latest state of which only a change was heard that did not fit. */
  missed: Stand | undefined
  /** Whether the whole is asked for because of it. */
  mending = false
  #stand: Stand = { fence: 0, version: 0 }
  #picture: Picture | undefined

  constructor(host: Omit<ViewersHost, 'project'>, key: string, ctx: MachineContext) {
    this.key = key
    this.ctx = ctx
    const project = (picture: unknown, viewer: MachineContext | undefined) =>
      (picture as Picture).view(viewer)
    this.viewers = new Viewers({ ...host, project }, key)
  }

  get stand(): Stand {
    return this.#stand
  }

  /** Whether anybody views it, or is about to. */
  get inUse(): boolean {
    return this.coming > 0 || this.viewers.size > 0
  }

  /** The view with changes of the version `from`; undefined when another one stands here. */
  changed(
    from: number,
    { fence }: Stand,
    changes: readonly Change[],
  ): { readonly view: unknown } | undefined {
    if (this.#picture === undefined || this.#stand.fence !== fence || this.#stand.version !== from) {
      return undefined
    }
    try {
      return { view: patch(this.#picture.view(undefined), changes) }
    } catch {
      return undefined
    }
  }

  /** Whether a state is later than what was shown. */
  isLater({ fence, version }: Stand): boolean {
    return fence > this.#stand.fence || (fence === this.#stand.fence && version > this.#stand.version)
  }

  /** Shows a state, unless a later one was shown: of two instances the one with the greater fence counts. */
  show(stand: Stand, picture: Picture): void {
    if (!this.isLater(stand)) return
    this.#stand = stand
    this.#picture = picture
    this.viewers.show(picture)
  }
}
