// @ts-check
/** The chat's page. The client comes from the chat's own server, so there is nothing to build. */
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
  closed: 'Disconnected. Reload the page.',
}

/** @type {typeof createClient<import('../app.js').ChatApp>} */
const createChatClient = createClient
const client = createChatClient({ reconnect: { maxDelay: 5000 } })

/** The name this page has joined with. */
let name = ''
let listening = false
/** Whether the end of the log is in sight, and stays so. */
let following = true
/** Ids of the connections that this page has had: lines from them are its own. @type {Set<unknown>} */
const own = new Set()

const online = element('online')
const status = element('status')
const entrance = element('entrance')
const room = element('room')
const log = element('log')
const empty = element('empty')
const lines = element('lines')
const newer = element('newer')

client.on('status', now => {
  // Between attempts it stays what it is: flickering helps nobody.
  const again = now === 'connecting' && status.dataset.status === 'waiting'
  if (!again) {
    status.textContent = STATUS[now]
    status.dataset.status = now
  }
  online.hidden = now !== 'connected'
  for (const button of document.querySelectorAll('form button')) {
    button.toggleAttribute('disabled', now !== 'connected')
  }
  if (now === 'connected') connected()
})

submits('join', async () => {
  await enter(/** @type {HTMLInputElement} */ (element('name')).value)
  entrance.hidden = true
  room.hidden = false
  element('text').focus()
  toEnd()
})

submits('say', async () => {
  const input = /** @type {HTMLInputElement} */ (element('text'))
  const text = input.value
  // At once: nobody says the same thing twice for pressing Enter twice.
  input.value = ''
  try {
    await client.api.rpc.say(text)
  } catch (error) {
    input.value ||= text
    throw error
  }
})

newer.addEventListener('click', toEnd)
log.addEventListener('scroll', () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 48
  if (following) newer.hidden = true
})
// A phone's keyboard makes the log smaller: the end stays in sight.
new ResizeObserver(() => following && toEnd()).observe(log)

// Rejects when the first attempt fails; the client tries again, and the status shows it.
client.connect().catch(() => {})

/** At first and after every loss: a new connection has no name yet and may have missed lines. */
function connected() {
  own.add(client.connectionId)
  if (!listening) {
    listening = true
    client.api.chat.on('said', show)
    client.api.chat.on('online', showOnline)
  }
  // Lost again meanwhile: then it is done when the next connection is there.
  if (name !== '') enter(name).catch(error => console.warn(error.message))
}

/**
 * Joins, listens to the room, and then asks for what was said before: so no line can be missed.
 *
 * @param {string} as
 */
async function enter(as) {
  name = await client.api.rpc.join(as)
  await client.api.chat.subscribe('room')
  const history = await client.api.rpc.history()
  showOnline(history.online)
  for (const line of history.lines) show(line)
}

/** @param {number} count */
function showOnline(count) {
  online.textContent = `${count} online`
}

/**
 * Shows a line, unless it is shown already. Only ever as text: anybody may have written it.
 *
 * @param {Line} line
 */
function show({ id, by, from, text, at }) {
  if (document.getElementById(id) !== null) return
  const mine = own.has(by)

  const item = document.createElement('li')
  item.id = id
  item.dataset.by = by
  item.className = mine ? 'own' : ''
  const last = /** @type {HTMLElement | null} */ (lines.lastElementChild)
  item.classList.toggle('same', last?.dataset.by === by)
  item.style.setProperty('--hue', String(hue(from)))

  const face = append(item, 'span', 'face', [...from][0]?.toUpperCase() ?? '')
  face.ariaHidden = 'true'
  const head = append(item, 'p', 'head', '')
  append(head, 'bdi', 'from', from)
  const time = /** @type {HTMLTimeElement} */ (append(head, 'time', '', at.toTimeString().slice(0, 5)))
  time.dateTime = at.toISOString()
  append(item, 'p', 'text', text).dir = 'auto'

  lines.append(item)
  empty.hidden = true
  if (lines.childElementCount > MAX_LINES) {
    lines.firstElementChild?.remove()
    lines.firstElementChild?.classList.remove('same')
  }
  if (mine || following) toEnd()
  else newer.hidden = false
}

function toEnd() {
  following = true
  log.scrollTop = log.scrollHeight
  newer.hidden = true
}

/** A colour for a name, always the same. @param {string} name */
function hue(name) {
  let sum = 0
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 360
  return sum
}

/**
 * Does this when a form is submitted; what refuses it is shown in the form.
 *
 * @param {string} id @param {() => Promise<void>} action
 */
function submits(id, action) {
  const form = element(id)
  const input = /** @type {HTMLInputElement} */ (form.querySelector('input'))
  const complaint = element(`${id}-error`)
  const complain = (/** @type {string} */ why) => {
    complaint.textContent = why
    input.ariaInvalid = String(why !== '')
  }
  input.addEventListener('input', () => complain(''))
  form.addEventListener('submit', async event => {
    event.preventDefault()
    complain('')
    try {
      await action()
    } catch (error) {
      complain(/** @type {Error} */ (error).message)
      input.focus()
    }
  })
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
