/** A content coding that files are kept in. */
export type Encoding = 'br' | 'gzip' | 'identity'

/** In the order of preference where a client has none. */
const ENCODINGS: readonly Encoding[] = ['br', 'gzip', 'identity']

/**
 * The encoding to answer with, by the `Accept-Encoding` of a request (RFC 9110, 12.5.3).
 *
 * `identity` where the client takes none: that is better than no answer.
 */
export function chooseEncoding(header: string | undefined): Encoding {
  if (header === undefined) return 'identity'
  const weights = new Map<string, number>()
  for (const part of header.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map(text => text.trim())
    if (name !== '') weights.set(name === 'x-gzip' ? 'gzip' : name, weightOf(parameters))
  }
  // Unless it is named, what is not encoded comes last.
  const weight = (encoding: Encoding): number =>
    weights.get(encoding) ?? (encoding === 'identity' ? 0 : (weights.get('*') ?? 0))
  const best = Math.max(...ENCODINGS.map(weight))
  return best > 0 ? ENCODINGS.find(encoding => weight(encoding) === best)! : 'identity'
}

function weightOf(parameters: readonly string[]): number {
  const given = parameters.find(parameter => parameter.startsWith('q='))
  if (given === undefined) return 1
  const weight = Number(given.slice(2))
  // A weight that is none: as if the coding were not accepted, which is never wrong.
  return weight >= 0 && weight <= 1 ? weight : 0
}
