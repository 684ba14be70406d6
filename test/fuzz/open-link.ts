/** Clients over HTTP that keep a link open, so that requests made elsewhere can name it. */
import { Agent, type IncomingMessage, request } from 'node:http'

/** One client that was welcomed; it opens another link when its own has been closed. */
export interface OpenLink {
  /** Replies and errors that have come, over all links. */
  readonly answers: number
  /** The name of the link that is open. */
  name(): Promise<string>
  close(): void
}

/** A request. */
interface Asked {
  readonly method: string
  readonly path: string
  readonly body?: string
}

/** How a fallback is spoken. */
interface Dialect {
  /** Opens a link. */
  opens(serial: number): Asked
  /** The link's name in what came first. */
  named(first: string, serial: number): string | undefined
  /** Says hello. */
  greets(name: string): Asked
  /** Asks for more; undefined: it comes in the first answer. */
  readonly asks?: (name: string) => Asked
}

const HELLO = '[16,{"v":1}]'

/** By the name that stands for a link in paths, as in `{sse}`. */
const DIALECTS: Readonly<Record<string, Dialect>> = {
  sse: {
    opens: () => ({ path: '/sse', method: 'GET' }),
    named: first => /^data: \["o([\w.-]+) \d+"\]\n\n/.exec(first)?.[1],
    greets: name => ({ method: 'POST', path: `/sse?link=${name}`, body: JSON.stringify([`t${HELLO}`]) }),
  },
  engineio: {
    opens: () => ({ path: '/engine.io/?EIO=4&transport=polling', method: 'GET' }),
    named: first => /^0\{"sid":"([^"]+)"/.exec(first)?.[1],
    greets: name => ({
      method: 'POST',
      path: `/engine.io/?EIO=4&transport=polling&sid=${name}`,
      body: `4${HELLO}`,
    }),
    asks: name => ({ path: `/engine.io/?EIO=4&transport=polling&sid=${name}`, method: 'GET' }),
  },
  sockjs: {
    opens: serial => ({ path: `/sockjs/0/open-${serial}/xhr`, method: 'POST' }),
    named: (first, serial) => (first === 'o\n' ? `open-${serial}` : undefined),
    greets: name => ({ method: 'POST', path: `/sockjs/0/${name}/xhr_send`, body: JSON.stringify([HELLO]) }),
    asks: name => ({ path: `/sockjs/0/${name}/xhr`, method: 'POST' }),
  },
}

/** One for each fallback, by the name of its dialect. */
export function openLinks(port: number): ReadonlyMap<string, OpenLink> {
  return new Map(Object.entries(DIALECTS).map(([name, dialect]) => [name, openLink(port, dialect)]))
}

function openLink(port: number, dialect: Dialect): OpenLink {
  const agent = new Agent({ keepAlive: true })
  let serial = 0
  let answers = 0
  let open: Promise<string> | undefined

  const ask = ({ path, method, body = '' }: Asked) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const headers = {
        Accept: 'text/event-stream',
        ...(body !== '' && { 'Content-Length': Buffer.byteLength(body) }),
      }
      const sent = request({ port, host: '127.0.0.1', path, method, agent, headers }, response => {
        response.setEncoding('utf8').on('error', () => undefined)
        resolve(response)
      })
      sent.once('error', reject)
      sent.end(body)
    })

  async function begin(number: number): Promise<string> {
    const response = await ask(dialect.opens(number))
    const first = await new Promise<string>(resolve => {
      response.once('data', resolve).once('close', () => resolve(''))
    })
    const name = dialect.named(first, number)
    if (name === undefined) throw new Error(`a link was not opened: ${response.statusCode} ${first}`)
    await new Promise<void>((resolve, reject) => {
      const take = (text: string): void => {
        if (text.includes('[17,')) resolve()
        answers += text.match(/\[[23],\d/g)?.length ?? 0
      }
      const gone = (): void => {
        if (number === serial) open = undefined
        reject(new Error(`the link ${name} was closed before its welcome`))
      }
      if (dialect.asks === undefined) response.on('data', take).once('close', gone)
      else void poll(() => ask(dialect.asks!(name)), take).then(gone, gone)
      ask(dialect.greets(name)).then(answer => answer.resume(), gone)
    })
    return name
  }

  return {
    get answers() {
      return answers
    },
    name() {
      open ??= begin(++serial)
      return open
    },
    close: () => agent.destroy(),
  }
}

/** Asks for more until there is no link any more. */
async function poll(ask: () => Promise<IncomingMessage>, take: (text: string) => void): Promise<void> {
  for (;;) {
    const response = await ask()
    let text = ''
    for await (const chunk of response) text += String(chunk)
    take(text)
    // The last word of Engine.IO, and that of SockJS.
    if (response.statusCode !== 200 || text === '1' || text.endsWith('\u001e1') || text.startsWith('c['))
      return
  }
}
