export { memoryClient } from './memory-client.js'
export * from './transport-conformance.js'
