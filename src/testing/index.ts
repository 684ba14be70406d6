export { type EngineSubject, engineConformance } from './engine-conformance.js'
export { type ManualClock, manualClock } from './manual-clock.js'
export { memoryClient } from './memory-client.js'
export * from './transport-conformance.js'
