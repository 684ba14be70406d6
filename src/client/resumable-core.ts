import type { ClientOptions } from './client.js'
import { type ClientCore, type ClientSetup, clientCore } from './core.js'
import { ResumableLinks, type ResumeOptions } from './resumable.js'

/** Options of `createClient`, with those of resuming. */
export interface ResumableClientOptions extends ClientOptions {
  /** What is kept to resume a lost connection, or `false`: it is lost with all that was under way. */
  readonly resume?: false | ResumeOptions
}

/** A client that resumes its connection, unless it does not want to or never comes back. */
export function resumableCore({
  resume = {},
  ...options
}: ClientSetup & Pick<ResumableClientOptions, 'resume'>): ClientCore {
  const { transport, codec, reconnect = {} } = options
  const links =
    resume && reconnect ? new ResumableLinks({ transport, codec, ...resume, reconnect }) : undefined
  const core = clientCore({ ...options, transport: links ?? transport })
  const { connect } = core
  core.connect = async () => {
    // Without a link it tries to come back at once.
    await links?.back()
    return connect()
  }
  return core
}
