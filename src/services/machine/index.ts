export type { MachineClient, MachineEvent, RemoteActor } from './client.js'
export { type MachineService, machine } from './machine.js'
export type { DefaultView, ListedEvent, MachineContext, MachineOptions } from './options.js'
