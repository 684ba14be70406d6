export { ActorRef, type AskOptions } from './actor-ref.js'
export { type Behaviour, DEFAULT_CAPACITY, type SpawnOptions } from './behaviour.js'
export { ActorSystem, type DeadLetter, type SystemCounters, type SystemOptions } from './system.js'
