export { ActorRef } from './actor-ref.js'
export type { Behaviour } from './behaviour.js'
export { ActorSystem, type DeadLetter } from './system.js'
