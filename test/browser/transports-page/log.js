/** Adds a line to the page; kinds are `step`, `status` and `failed`. */
export function log(text, kind = 'step') {
  const line = document.createElement('li')
  line.className = kind
  line.textContent = text
  document.querySelector('#log').append(line)
}

/** Shows what a client's status becomes, and what fails without being asked for. */
export function watch(client) {
  client.on('status', (status, why) => log(why ? `${status} ${why.code} ${why.reason}` : status, 'status'))
  client.on('error', ({ message }) => log(message, 'failed'))
}

/** Runs the steps; the first that fails is the last line. */
export async function run(steps) {
  try {
    await steps()
  } catch (error) {
    log(String(error), 'failed')
  }
}

/** Goes on if this holds. */
export function check(holds, what) {
  if (!holds) throw new Error(what)
}
