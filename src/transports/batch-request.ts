import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Frame } from '../codec/codec.js'
import { batchSize, readBatch } from './frame-batch.js'
import { readBody, refuse } from './http.js'
import type { HttpLink } from './http-link.js'
import { bodySize } from './websocket-frames.js'

/** Bounds of a request with frames. */
export interface BatchLimits {
  /** Bytes in the largest frame. */
  readonly maxPayload: number
  /** Milliseconds in which a request must have come. */
  readonly handshakeTimeout: number
}

/** Frames in one request: the smallest have four bytes there, and all are handed over in one go. */
const MAX_FRAMES = 10_000

/**
 * Takes a request whose body is a batch of frames for a link, and answers it.
 *
 * 204 once the frames are handed over, which a paused link puts off; 409 while an earlier request is not
 * answered, as only the answers keep the order; 413, 400 and an end of the link for what is too large
 * or malformed. A request that breaks off ends the link: what it held is lost, and the order with it.
 */
export async function receiveBatch(
  request: IncomingMessage,
  response: ServerResponse,
  link: HttpLink,
  { maxPayload, handshakeTimeout }: BatchLimits,
): Promise<void> {
  if (!link.claim(response)) return refuse(response, 409, 'Wait for the answer before you send more.\n')
  const body = await readBody(request, batchSize(maxPayload), handshakeTimeout)
  if (request.socket.destroyed) return link.terminate()
  const batch = body && readBatch(body)
  const tooLarge = (frame: Frame) => bodySize(frame) > maxPayload
  if (!body || (batch && (batch.frames.length > MAX_FRAMES || batch.frames.some(tooLarge)))) {
    link.close(1009, 'The frame is too large')
    return refuse(response, 413, 'The frame is too large.\n')
  }
  if (!batch) {
    link.close(1002, 'The batch is malformed')
    return refuse(response, 400, 'Send a JSON array of frames, as docs/transports.md has it.\n')
  }
  await link.receive(batch.frames)
  if (batch.close) link.closedByClient(batch.close.code, batch.close.reason)
  response.writeHead(204).end()
}
