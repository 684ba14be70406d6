export type {
  ModelClient,
  ModelQueryPage,
  ModelSnapshot,
  RemoteQuery,
  RemoteRecord,
} from './client.js'
export { engineStorage } from './engine-storage.js'
export { memoryStorage } from './memory-storage.js'
export { type ModelServer, type ModelService, model, type NewRecord } from './model.js'
export type { ModelAction, ModelContext, ModelOptions, ModelQueries, ModelQuery } from './options.js'
export type { ListRequest, ModelStorage, Stored } from './storage.js'
