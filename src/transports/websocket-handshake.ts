import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** What a client's opening handshake says that is not the application's. */
export interface WebSocketOffer {
  readonly key: string
  /** Subprotocols in the client's order. */
  readonly protocols: readonly string[]
}

/** Why an upgrade is not one to WebSocket: the status and text of the answer. */
export interface NoWebSocket {
  readonly status: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const KEY = /^[+/0-9A-Za-z]{22}==$/
/** A token of HTTP (RFC 9110, 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const NO_PROTOCOLS: readonly string[] = []

/** Reads a client's opening handshake (RFC 6455, 4.2.1). Version 8 has the same frames as 13. */
export function readOffer({ method, headers }: IncomingMessage): WebSocketOffer | NoWebSocket {
  if (method !== 'GET') return { status: 405, message: 'Invalid HTTP method\n' }
  if (headers.upgrade?.toLowerCase() !== 'websocket') return wrong('Upgrade')
  const key = headers['sec-websocket-key']
  if (key === undefined || !KEY.test(key)) return wrong('Sec-WebSocket-Key')
  const version = Number(headers['sec-websocket-version'])
  if (version !== 13 && version !== 8) {
    return { ...wrong('Sec-WebSocket-Version'), headers: { 'Sec-WebSocket-Version': '13, 8' } }
  }
  const offered = headers['sec-websocket-protocol']
  if (offered === undefined) return { key, protocols: NO_PROTOCOLS }
  const protocols = offered.split(',').map(name => name.trim())
  const valid = protocols.every(name => TOKEN.test(name)) && new Set(protocols).size === protocols.length
  return valid ? { key, protocols } : wrong('Sec-WebSocket-Protocol')
}

/** The answer that makes a WebSocket of the connection (RFC 6455, 4.2.2). */
export function acceptance(
  key: string,
  protocol: string | undefined,
  headers: Readonly<Record<string, string>> | undefined,
): string {
  const accept = hash('sha1', key + GUID, 'base64')
  let answer = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`
  if (protocol !== undefined) answer += `Sec-WebSocket-Protocol: ${protocol}\r\n`
  if (headers !== undefined) for (const name in headers) answer += `${name}: ${headers[name]}\r\n`
  return `${answer}\r\n`
}

function wrong(header: string): NoWebSocket {
  return { status: 400, message: `Missing or invalid ${header} header\n` }
}
