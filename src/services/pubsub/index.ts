export type { Answers, ClientCallOptions } from '../call-many.js'
export type { OccupancyListener } from './channels.js'
export type {
  ChannelsClient,
  HistoryEntry,
  Recovered,
  RecoveryReason,
  Subscribed,
  SubscribeOptions,
} from './channels-api.js'
export type {
  ChannelsOptions,
  ChannelsServer,
  ChannelsService,
  ServerHistoryPage,
} from './channels-service.js'
export type { EventArgs, PubSubClient } from './client.js'
export type {
  CallArgs,
  CallMap,
  CallsMany,
  CallsOne,
  ClientAnswer,
  ClientHandler,
  HandlersOf,
  PubSubHandlers,
} from './client-calls.js'
export type { TagFilter, Tags } from './filters.js'
export type { Hooks, PubSubContext, Verdict } from './hooks.js'
export type { ChannelListener, Heard } from './listeners.js'
export type { ChannelChange, ChannelEvent } from './occupancy.js'
export type { ChannelPublishOptions, ChannelsPublish, Publish, SpareOptions } from './publish.js'
export {
  type EventMap,
  type PubSubOptions,
  type PubSubServer,
  type PubSubService,
  pubsub,
} from './pubsub.js'
export type { ChannelOptions } from './rules.js'
export type { ChannelSchema } from './schema.js'
export { StateAt } from './states.js'
export type { Addressed, PubSubRooms } from './to.js'
