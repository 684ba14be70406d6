import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { listeningServer } from '../transports/ws-client.js'

/** What a balancer does to a POST besides passing it on. */
type Fault = 'none' | 'refused' | 'unanswered' | 'twice'

/** A balancer that knows nothing of clients: each request goes to the next server. */
export async function balancer(ports: readonly number[], fault: () => Fault = () => 'none') {
  let turn = 0
  const faults: Fault[] = []
  const next = () => ports[turn++ % ports.length]!
  const pass = (from: IncomingMessage, body: Buffer, answer: (response: IncomingMessage) => void) => {
    const { method, url, headers } = from
    const sent = httpRequest(
      { host: '127.0.0.1', port: next(), path: url, method, headers, agent: false },
      answer,
    )
    sent.on('error', () => from.socket.destroy())
    sent.end(body)
    return sent
  }
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const doing = request.method === 'POST' ? fault() : 'none'
    faults.push(doing)
    if (doing === 'refused') return void response.writeHead(502).end()
    if (doing === 'twice') pass(request, body, answer => answer.resume())
    const sent = pass(request, body, answer => {
      if (doing === 'unanswered') return void request.socket.destroy()
      response.writeHead(answer.statusCode!, answer.headers)
      response.flushHeaders()
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    response.on('close', () => sent.destroy())
  })
  const { port } = await listeningServer(server)
  return { url: `http://127.0.0.1:${port}`, faults }
}
