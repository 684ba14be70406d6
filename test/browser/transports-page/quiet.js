import { createClient } from '/socketstream/client.js'
import { run, watch } from './log.js'

// No service is touched: the half of livereload acts by itself.
const client = createClient()
watch(client)
run(() => client.connect())
