/** What one needs to write a transport over HTTP; docs/transports.md, "Writing one", shows how. */

export type { Frame } from '../codec/codec.js'
export { Admission } from './admission.js'
export type { TrustProxy } from './client-address.js'
export { checkCloseCode, truncateReason } from './closing.js'
export { batchSize, type FrameBatch, readBatch, writeBatch } from './frame-batch.js'
export { readBody, refuse, refuseUpgrade, requestPath, requestQuery } from './http.js'
export { type DoorSettings, HttpDoor } from './http-door.js'
export { HttpLink, type HttpLinkOptions } from './http-link.js'
export type { HttpOptions } from './http-options.js'
export type { BatchLimits } from './http-order.js'
export { HttpPlace, type PlaceOptions } from './http-place.js'
export { RelayedLinks } from './http-relay.js'
export { Links } from './links.js'
export { NamedLinks } from './named-links.js'
export type { Origins } from './origin.js'
export { type StreamOptions, type StreamSettings, streamSettings } from './stream-options.js'
export type {
  Handshake,
  HttpRoute,
  Link,
  LinkHandler,
  Transport,
  TransportAddress,
  TransportCapabilities,
  TransportHost,
  TransportPeers,
  Verdict,
} from './transport.js'
export { bodySize } from './websocket-frames.js'
