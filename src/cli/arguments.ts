import { parseArgs } from 'node:util'

/** What `socketstream inspect` is asked for. */
export interface InspectArguments {
  /** Of the inspector, without a slash at its end. */
  readonly url: string
  readonly token: string | undefined
  readonly once: boolean
  readonly json: boolean
}

/** What the command says of itself. */
export const HELP = `socketstream inspect URL [--token TOKEN] [--once] [--json]

Prints what a server does, and follows it: its figures, actors, services and connections.

  URL      of the server, such as http://localhost:3000, or of its inspector
  --token  the inspector's \`auth\`; or the environment variable SOCKETSTREAM_TOKEN, which other users do not see
  --once   prints once and ends
  --json   JSON: with --once a snapshot of everything, else a line each second
  --help   this`

/**
 * Reads the arguments.
 *
 * @returns what is wanted, or what to say instead: `HELP`, or what is wrong
 */
export function readArguments(
  given: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): InspectArguments | string {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(given)
  } catch (error) {
    return complaint((error as Error).message)
  }
  const { values, positionals } = parsed
  const [command, url, ...more] = positionals
  if (values.help || given.length === 0) return HELP
  if (command !== 'inspect') return complaint(`there is no command ${JSON.stringify(command ?? '')}`)
  if (url === undefined || more.length > 0) return complaint('inspect takes one URL')
  const address = inspectorUrl(url)
  if (address === undefined) return complaint(`${JSON.stringify(url)} is no http: or https: URL`)
  const token = values.token ?? env.SOCKETSTREAM_TOKEN
  return { url: address, token: token || undefined, once: values.once === true, json: values.json === true }
}

function parse(given: readonly string[]) {
  return parseArgs({
    args: [...given],
    allowPositionals: true,
    options: {
      token: { type: 'string' },
      once: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}

/** The inspector's address; of a server alone that at which it is unless said otherwise. */
function inspectorUrl(given: string): string | undefined {
  const text = /^[a-z]+:\/\//i.test(given) ? given : `http://${given}`
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  const path = url.pathname.replace(/\/+$/, '')
  return `${url.origin}${path === '' ? '/_inspector' : path}`
}

function complaint(what: string): string {
  return `socketstream: ${what}\n\n${HELP}`
}
