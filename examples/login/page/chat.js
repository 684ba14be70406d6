// @ts-check
/** The chat's page, for those who are logged in. The browser sends the session's cookie by itself. */
import { createClient } from '/socketstream/client.js'

/** @typedef {import('../app.js').Line} Line */

/** Lines kept on the page. */
const MAX_LINES = 500

/** What is shown for each status of the client. */
const STATUS = {
  idle: 'Connecting…',
  connecting: 'Connecting…',
  connected: 'Connected',
  waiting: 'No connection, trying again…',
  closed: 'Disconnected',
}

/** @type {typeof createClient<import('../app.js').LoginApp>} */
const createChatClient = createClient
const client = createChatClient({ reconnect: { maxDelay: 5000 } })

/** The user that this page was opened by. */
let me = ''
let listening = false

const status = element('status')
const log = element('log')
const lines = element('lines')
const form = element('say')
const text = /** @type {HTMLInputElement} */ (element('text'))
const complaint = element('say-error')

client.on('status', now => {
  // Between attempts it stays what it is: flickering helps nobody.
  const again = now === 'connecting' && status.dataset.status === 'waiting'
  if (!again) {
    status.textContent = STATUS[now]
    status.dataset.status = now
  }
  form.querySelector('button')?.toggleAttribute('disabled', now !== 'connected')
  if (now === 'connected') connected().catch(error => complain(error.message))
  // Logged out, in whatever tab, or the session has expired: the page is the login again.
  if (now === 'closed') location.replace('/')
})

text.addEventListener('input', () => complain(''))
form.addEventListener('submit', async event => {
  event.preventDefault()
  const said = text.value
  // At once: nobody says the same thing twice for pressing Enter twice.
  text.value = ''
  try {
    await client.api.rpc.say(said)
  } catch (error) {
    text.value ||= said
    complain(/** @type {Error} */ (error).message)
    text.focus()
  }
})

// Rejects when the first attempt fails; the client tries again, and the status shows it.
client.connect().catch(() => {})

/** At first and after every loss. */
async function connected() {
  if (!listening) {
    listening = true
    client.api.chat.on('said', show)
    client.api.chat.on('you', showCount)
  }
  const room = await client.api.rpc.room()
  // The server has started anew without the session, or somebody else has logged in in another tab.
  if (room === null || (me !== '' && room.user.id !== me)) return location.replace('/')
  me = room.user.id
  const user = element('user')
  user.textContent = `${room.user.name} · `
  append(user, 'span', 'said', '')
  user.hidden = false
  showCount(room.said)
  await client.api.chat.subscribe('room')
  // Asked again, so that nothing said meanwhile is missing.
  for (const line of (await client.api.rpc.room())?.lines ?? []) show(line)
}

/** What was said in this session, in all its tabs. @param {number} said */
function showCount(said) {
  const count = document.querySelector('#user .said')
  if (count !== null) count.textContent = said === 1 ? '1 message' : `${said} messages`
}

/** Shows a line, unless it is shown already. Only ever as text. @param {Line} line */
function show({ id, by, from, text }) {
  if (document.getElementById(id) !== null) return
  const item = document.createElement('li')
  item.id = id
  item.className = by === me ? 'own' : ''
  append(item, 'bdi', 'from', from)
  append(item, 'p', 'text', text).dir = 'auto'
  lines.append(item)
  element('empty').hidden = true
  if (lines.childElementCount > MAX_LINES) lines.firstElementChild?.remove()
  log.scrollTop = log.scrollHeight
}

/** @param {string} why */
function complain(why) {
  complaint.textContent = why
  text.ariaInvalid = String(why !== '')
}

/**
 * @param {HTMLElement} parent @param {string} tag @param {string} className @param {string} text
 * @returns {HTMLElement}
 */
function append(parent, tag, className, text) {
  const child = document.createElement(tag)
  child.className = className
  child.textContent = text
  parent.append(child)
  return child
}

/** @param {string} id @returns {HTMLElement} */
function element(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`The page has no #${id}`)
  return found
}
