export { type ManualClock, manualClock } from './manual-clock.js'
export { memoryClient } from './memory-client.js'
export * from './transport-conformance.js'
