// @ts-check
/** The page's script. Livereload acts by itself once it is used; here it also says what it does. */
import { createClient } from '/socketstream/client.js'

/** @type {typeof createClient<import('../app.js').App>} */
const createPageClient = createClient
const client = createPageClient()

/** @param {string} text */
function show(text) {
  const status = document.getElementById('status')
  if (status) status.textContent = text
}

client.on('status', status => show(status === 'connected' ? 'Connected' : 'No connection'))
await client.connect()
client.api.livereload.on('css', paths => show(`Swapped ${paths.join(', ')}`))
