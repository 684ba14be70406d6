export type {
  PagePart,
  PresenceClient,
  PresenceDevice,
  PresenceMember,
  PresencePage,
  PresenceServer,
  PresenceSnapshot,
  RemotePresence,
} from './api.js'
export type { PresenceContext, PresenceOptions } from './options.js'
export { type PresenceService, presence } from './presence.js'
