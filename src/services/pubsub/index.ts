export type { EventArgs, PubSubClient } from './client.js'
export {
  type EventMap,
  type Publish,
  type PubSubContext,
  type PubSubOptions,
  type PubSubServer,
  type PubSubService,
  pubsub,
  type Verdict,
} from './pubsub.js'
