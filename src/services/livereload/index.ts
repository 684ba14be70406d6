export type { LivereloadClient, LivereloadEvents } from './client.js'
export { type LivereloadService, livereload } from './livereload.js'
export type { LivereloadOptions } from './options.js'
