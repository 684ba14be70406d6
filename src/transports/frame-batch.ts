import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'

/** Frames that travel together, and the end of the link if it comes behind them. */
export interface FrameBatch {
  readonly frames: readonly Frame[]
  readonly close?: { readonly code: number; readonly reason: string }
}

/** A body is at most this many times as large as the largest frame: JSON has `\u0000` for one byte. */
const GROWTH = 6
/** Bytes around the one frame of a batch. */
const ENVELOPE = 16

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes in a batch with the largest frame, however JSON has to write it. */
export function batchSize(maxFrame: number): number {
  return maxFrame * GROWTH + ENVELOPE
}

/**
 * Writes frames as a JSON array of strings, for what carries text only.
 *
 * The first character of each says what follows: `t` text, `b` bytes as base64, and `c` in the last one a
 * close code, a blank and the reason. JSON of this form has no line breaks.
 */
export function writeBatch({ frames, close }: FrameBatch): string {
  const parts = frames.map(frame =>
    typeof frame === 'string' ? `t${frame}` : `b${Buffer.from(frame).toString('base64')}`,
  )
  if (close) parts.push(`c${close.code} ${close.reason}`)
  return JSON.stringify(parts)
}

/** Reads what `writeBatch` wrote; undefined for all else, by whomever it was sent. */
export function readBatch(body: Uint8Array): FrameBatch | undefined {
  const parts = parse(body)
  if (!Array.isArray(parts) || !parts.every(part => typeof part === 'string')) return undefined
  const last = parts.at(-1)
  const close = last?.startsWith('c') ? readClose(last) : undefined
  const frames = (close ? parts.slice(0, -1) : parts).map(readFrame)
  if (!frames.every(frame => frame !== undefined)) return undefined
  return { frames, ...(close && { close }) }
}

function readFrame(part: string): Frame | undefined {
  const rest = part.slice(1)
  if (part[0] === 't') return rest
  // Buffer leaves out what is not base64.
  if (part[0] !== 'b' || rest.length % 4 > 0 || !/^[\w+/-]*={0,2}$/.test(rest)) return undefined
  return Buffer.from(rest, 'base64')
}

function readClose(part: string): FrameBatch['close'] {
  const [, digits, reason = ''] = /^c(\d{4}) (.*)$/s.exec(part) ?? []
  try {
    checkCloseCode(Number(digits))
    return { code: Number(digits), reason: truncateReason(reason) }
  } catch {
    return undefined
  }
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    return undefined
  }
}
