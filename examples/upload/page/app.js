// @ts-check
/** The page: uploads the file that is chosen, and shows how much of it the server has stored. */
import { createClient } from '/socketstream/client.js'

/** @type {typeof createClient<import('../app.js').UploadApp>} */
const createUploadClient = createClient
const client = createUploadClient({ reconnect: { maxDelay: 5000 } })

const status = element('status', HTMLElement)
const file = element('file', HTMLInputElement)
const send = element('send', HTMLButtonElement)
const cancel = element('cancel', HTMLButtonElement)
const progress = element('progress', HTMLProgressElement)
const result = element('result', HTMLElement)

client.on('status', now => {
  status.textContent = now === 'connected' ? 'Connected' : 'No connection, trying again…'
})
element('upload', HTMLFormElement).addEventListener('submit', event => {
  event.preventDefault()
  const [chosen] = file.files ?? []
  if (chosen !== undefined) upload(chosen)
})
// Rejects when the first attempt fails; the client tries again, and the status shows it.
await client.connect().catch(() => {})

/** @param {File} chosen */
async function upload(chosen) {
  const stopping = new AbortController()
  cancel.onclick = () => stopping.abort()
  send.disabled = true
  cancel.disabled = false
  // A progress bar without a maximum above 0 is none.
  progress.max = chosen.size || 1
  progress.value = 0
  result.textContent = 'Uploading…'
  try {
    const { files } = client.with({ signal: stopping.signal }).api
    for await (const { bytes, sha256 } of files.store(chosen)) {
      progress.value = bytes
      if (sha256 !== undefined) result.textContent = `Stored ${bytes} bytes, SHA-256 ${sha256}`
    }
  } catch (error) {
    progress.value = 0
    result.textContent = stopping.signal.aborted ? 'Cancelled' : /** @type {Error} */ (error).message
  } finally {
    send.disabled = false
    cancel.disabled = true
  }
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 */
function element(id, type) {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`The page has no #${id}`)
  return found
}
