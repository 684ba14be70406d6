// @ts-check
/** The page: joins under a name, and shows who is there. */
import { createClient } from '/socketstream/client.js'

/** @type {typeof createClient<import('../app.js').PresenceApp>} */
const createPresenceClient = createClient
const client = createPresenceClient({ reconnect: { maxDelay: 5000 } })

const status = element('status')
const error = element('error')
const name = /** @type {HTMLInputElement} */ (element('name'))
/** The timer that says that nobody types any more. @type {ReturnType<typeof setTimeout> | undefined} */
let still

client.on('status', now => {
  status.textContent = now === 'connected' ? 'Connected' : 'No connection, trying again…'
})
// Rejects when the first attempt fails; the client tries again, and the status shows it.
await client.connect().catch(() => {})
if (client.status === 'connected') begin()
else {
  const off = client.on('status', now => {
    if (now !== 'connected') return
    off()
    begin()
  })
}

function begin() {
  const room = client.api.presence.watch('page')
  const show = () => {
    const { ready, count, members } = room.getSnapshot()
    element('count').textContent = ready ? `${count} here` : 'Asking who is here…'
    element('members').replaceChildren(...members.map(({ devices }) => row(devices)))
  }
  room.subscribe(show)
  show()
  element('me').addEventListener('submit', event => {
    event.preventDefault()
    clearTimeout(still)
    still = undefined
    say(false)
  })
  name.addEventListener('input', () => {
    if (still === undefined) say(true)
    clearTimeout(still)
    still = setTimeout(() => {
      still = undefined
      say(false)
    }, 1000)
  })
}

/** @param {boolean} typing */
async function say(typing) {
  try {
    await client.api.presence.join('page', { name: name.value || 'Somebody', typing })
    error.textContent = ''
  } catch (problem) {
    error.textContent = problem instanceof Error ? problem.message : String(problem)
  }
}

/** @param {readonly { meta: import('../app.js').Visitor }[]} devices */
function row(devices) {
  const item = document.createElement('li')
  const [first] = devices
  item.textContent = first === undefined ? 'Somebody who is coming back' : first.meta.name
  if (devices.length > 1) item.append(` (${devices.length} pages)`)
  if (devices.some(({ meta }) => meta.typing)) item.append(' is typing…')
  return item
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id))
}
