import type { Logger } from '../log.js'
import type { HttpRoute } from '../transports/transport.js'
import { Access } from './access.js'
import { InspectorRoute } from './http.js'
import { Inspector } from './inspector.js'
import type { InspectorSettings } from './options.js'
import { InspectorSocket } from './socket.js'
import type { InspectorSource } from './source.js'

/** An inspector that is served. */
export interface MountedInspector {
  readonly route: HttpRoute
  readonly inspector: Inspector
  /** Sends its viewers away, and lets go of the server. */
  stop(): Promise<void>
}

/** Makes the inspector of a server, and the server of its viewers; loaded only where there is one. */
export async function mountInspector(
  source: InspectorSource,
  settings: InspectorSettings,
  log: Logger,
): Promise<MountedInspector> {
  const { path } = settings
  const inspector = new Inspector(source, settings)
  const socket = new InspectorSocket(inspector, `${path}/socket`, log)
  const access = new Access(settings, error => log.error('`inspector.auth` failed', { error }))
  await socket.start()
  return {
    inspector,
    route: new InspectorRoute({ inspector, access, socket, path, log }),
    async stop() {
      inspector.stop()
      await socket.stop()
    },
  }
}
