import type { MachineContext } from './options.js'
import type { Stand } from './outlet.js'
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
  #stand: Stand = { fence: 0, version: 0 }

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

  /** Shows a state, unless a later one was shown: of two instances the one with the greater fence counts. */
  show(stand: Stand, picture: Picture): void {
    const { fence, version } = this.#stand
    if (stand.fence < fence || (stand.fence === fence && stand.version <= version)) return
    this.#stand = stand
    this.viewers.show(picture)
  }
}
