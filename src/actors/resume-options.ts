import { type Duration, milliseconds } from '../duration.js'
import { SocketStreamError } from '../errors.js'

/** How connections that are lost can be resumed. */
export interface ResumeOptions {
  /** How long a lost connection is kept for its client, such as `'2m'`. Default 2 minutes. */
  readonly window?: Duration
  /** Bytes kept for each client: what it has not acknowledged, and what waits while it is away. Default 1 MiB. */
  readonly bytes?: number
  /** Bytes kept for all clients that are away; past it, whoever is away longest is given up. Default 64 MiB. */
  readonly total?: number
  /** Clients that may be away at the same time; past it, whoever is away longest is given up. Default 10,000. */
  readonly connections?: number
  /** Whether servers of a cluster go on with each other's connections; see docs/scaling.md. Default true. */
  readonly handover?: boolean
}

/** The same, checked, with its defaults; `window` in milliseconds. */
export interface ResumeSettings {
  readonly window: number
  readonly bytes: number
  readonly total: number
  readonly connections: number
  readonly handover: boolean
}

const DEFAULTS: ResumeSettings = {
  window: 120_000,
  bytes: 1024 * 1024,
  total: 64 * 1024 * 1024,
  connections: 10_000,
  handover: true,
}

/**
 * Checks the option `resume`; undefined: lost connections are not kept.
 *
 * @param outboundBytes the limit of that name: all that is kept is sent at once to who comes back
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function resumeSettings(
  given: boolean | ResumeOptions | undefined,
  outboundBytes: number,
): ResumeSettings | undefined {
  if (given === false) return undefined
  const options = given === true || given === undefined ? {} : given
  if (options === null || typeof options !== 'object') {
    throw invalid('`resume` must be false or options', "resume: { window: '2m' }")
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(DEFAULTS, name)) {
      throw invalid(`there is no option \`resume.${name}\``, `one of ${Object.keys(DEFAULTS).join(', ')}`)
    }
  }
  const window = milliseconds(options.window ?? DEFAULTS.window, 'resume.window')
  if (window === 0) throw invalid('`resume.window` must be more than nothing', 'resume: false to keep nobody')
  const settings = { ...DEFAULTS, bytes: Math.min(DEFAULTS.bytes, outboundBytes), ...options, window }
  for (const name of ['bytes', 'total', 'connections'] as const) {
    if (!Number.isSafeInteger(settings[name]) || settings[name] < 1) {
      throw invalid(
        `\`resume.${name}\` must be a positive whole number`,
        `resume: { ${name}: ${DEFAULTS[name]} }`,
      )
    }
  }
  if (typeof settings.handover !== 'boolean') {
    throw invalid('`resume.handover` must be true or false', 'resume: { handover: false }')
  }
  if (settings.bytes > outboundBytes) {
    throw invalid(
      '`resume.bytes` must be at most `limits.outboundBytes`',
      `resume: { bytes: ${outboundBytes} }`,
    )
  }
  return settings
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
