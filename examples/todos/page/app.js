// @ts-check
/** The page: shows the query that is chosen, and writes what is done to it. */
import { createClient } from '/socketstream/client.js'

/** @type {typeof createClient<import('../app.js').TodosApp>} */
const createTodosClient = createClient
const client = createTodosClient({ reconnect: { maxDelay: 5000 } })

const status = element('status')
const list = element('todos')
const error = element('error')
const text = /** @type {HTMLInputElement} */ (element('text'))
const openOnly = /** @type {HTMLInputElement} */ (element('open'))
/** Ends the watching of the query that is shown. @type {(() => void) | undefined} */
let leave

client.on('status', now => {
  status.textContent = now === 'connected' ? 'Connected' : 'No connection, trying again…'
})
openOnly.addEventListener('change', watch)
element('add').addEventListener('submit', async event => {
  event.preventDefault()
  if (await tried(client.api.todos.create({ text: text.value }))) text.value = ''
})

// Rejects when the first attempt fails; the client tries again, and the status shows it.
await client.connect().catch(() => {})
// The halves are there once the server has named its services.
if (client.status === 'connected') watch()
else client.on('status', now => now === 'connected' && !leave && watch())

function watch() {
  leave?.()
  const query = client.api.todos.query(openOnly.checked ? 'open' : 'all')
  const show = () => list.replaceChildren(...(query.getSnapshot()?.records ?? []).map(row))
  leave = query.subscribe(show)
  show()
}

/** @param {{ id: string, text: string, done: boolean }} todo */
function row({ id, text, done }) {
  const item = document.createElement('li')
  item.classList.toggle('done', done)
  const label = item.appendChild(document.createElement('label'))
  const box = label.appendChild(document.createElement('input'))
  box.type = 'checkbox'
  box.checked = done
  // At once on this page; taken back if the server refuses.
  box.addEventListener('change', () => tried(client.api.todos.update(id, { done: !done })))
  label.append(` ${text}`)
  const remove = item.appendChild(document.createElement('button'))
  remove.type = 'button'
  remove.textContent = 'Remove'
  remove.ariaLabel = `Remove ${text}`
  remove.addEventListener('click', () => tried(client.api.todos.remove(id)))
  return item
}

/** Whether it succeeds; what is wrong is shown. @param {Promise<unknown>} write */
async function tried(write) {
  error.textContent = ''
  try {
    await write
    return true
  } catch (cause) {
    error.textContent = /** @type {Error} */ (cause).message
    return false
  }
}

/** @param {string} id @returns {HTMLElement} */
function element(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`The page has no #${id}`)
  return found
}
