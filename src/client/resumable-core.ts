import { ClientCore, type ClientOptions, type ClientSetup } from './client.js'
import { ResumableLinks, type ResumeOptions } from './resumable.js'

/** Options of `createClient`, with those of resuming. */
export interface ResumableClientOptions extends ClientOptions {
  /** What is kept to resume a lost connection, or `false`: it is lost with all that was under way. */
  readonly resume?: false | ResumeOptions
}

/** A client that resumes its connection, unless it does not want to or never comes back. */
export class ResumableCore extends ClientCore {
  readonly #links: ResumableLinks | undefined

  constructor({ resume = {}, ...options }: ClientSetup & Pick<ResumableClientOptions, 'resume'>) {
    const { transport, codec, reconnect = {} } = options
    const links =
      resume && reconnect ? new ResumableLinks({ transport, codec, ...resume, reconnect }) : undefined
    super({ ...options, transport: links ?? transport })
    this.#links = links
  }

  /** Without a link it tries to come back at once. */
  override async connect(): Promise<void> {
    await this.#links?.back()
    return super.connect()
  }
}
