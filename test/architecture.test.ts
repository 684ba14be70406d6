import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** The parts of `src/`, lowest first. Of several that fit a file, the longest name is meant. */
const LEVELS = [
  ['errors.ts', 'log.ts', 'thenable.ts', 'duration.ts', 'random.ts', 'protocol/'],
  ['codec/', 'transports/', 'sessions/', 'engines/', 'actors/runtime/'],
  ['services/', 'middleware/', 'cluster/'],
  ['actors/'],
  [
    'options.ts',
    'browser/',
    'engine-watch.ts',
    'inspector/',
    'event-loop-lag.ts',
    'health.ts',
    'signals.ts',
    'workers/',
    'server.ts',
    'index.ts',
  ],
]

/** What stands beside the levels: what it may import at run time, and of what only types. */
const BESIDE: Readonly<Record<string, readonly RegExp[]>> = {
  'client/': [/^errors\.ts$/, /^protocol\//, /^codec\//, /^services\/[a-z]+\/client\.ts$/],
  'testing/': [/./],
  'cli/': [/./],
  // It runs in browsers, and is a client like others.
  'inspector/page/': [/^client\//, /^inspector\/protocol\//],
}

/** Types that one part takes from another of its own level. */
const NEIGHBOURS = new Set([
  'middleware/ from services/',
  'services/ from cluster/',
  'transports/ from codec/',
  'actors/runtime/ from engines/',
])

interface Import {
  readonly file: string
  readonly from: string
  readonly typeOnly: boolean
}

const src = fileURLToPath(new URL('../src/', import.meta.url))
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map(file => file.split(sep).join('/'))
  .filter(file => /\.tsx?$/.test(file))
const imports = sources.flatMap(importsOf)
const internal = imports.filter(({ from }) => sources.includes(from))

describe('the imports of src/', () => {
  test('are all found', () => {
    const lost = imports.filter(({ from }) => from.endsWith('.ts') && !sources.includes(from))
    expect(lost).toEqual([])
    expect(internal.length).toBeGreaterThan(sources.length)
  })

  test('know every part', () => {
    expect(sources.filter(file => levelOf(file) === undefined && besideOf(file) === undefined)).toEqual([])
  })

  test('go downward only', () => {
    const upward = internal.filter(({ file, from, typeOnly }) => {
      const [level, other] = [levelOf(file), levelOf(from)]
      if (level === undefined) return false
      if (other === undefined) return true
      if (other !== level || partOf(file) === partOf(from)) return other > level
      if (level === 0 || level === LEVELS.length - 1) return false
      return !(typeOnly && NEIGHBOURS.has(`${partOf(file)} from ${partOf(from)}`))
    })
    expect(upward.map(arrow)).toEqual([])
  })

  test('keep services out of each other', () => {
    const service = (file: string) => /^services\/([a-z]+)\//.exec(file)?.[1]
    const across = internal.filter(
      ({ file, from }) =>
        service(from) !== undefined && service(file) !== service(from) && levelOf(file) === 2,
    )
    expect(across.map(arrow)).toEqual([])
  })

  test('of what stands beside are what is allowed there', () => {
    const forbidden = internal.filter(({ file, from, typeOnly }) => {
      const place = besideOf(file)
      if (place === undefined || typeOnly || from.startsWith(place)) return false
      return !BESIDE[place]?.some(allowed => allowed.test(from))
    })
    expect(forbidden.map(arrow)).toEqual([])
  })

  test('name XState in the actor kit only', () => {
    const others = imports.filter(
      ({ file, from }) => /^xstate(\/|$)/.test(from) && !file.startsWith('actors/runtime/'),
    )
    expect(others.map(arrow)).toEqual([])
  })

  test.each(['client/index.ts', 'client/json.ts'])('bring nothing from Node into %s', entry => {
    const packages = [...reach(entry)].filter(file => !sources.includes(file))
    expect(packages).toEqual([])
  })

  test.each(['client/node.ts', 'client/json-node.ts'])(
    'bring no more than ws and msgpackr into %s',
    entry => {
      const packages = [...reach(entry)].filter(file => !sources.includes(file))
      const builtins = packages.filter(name => name.startsWith('node:') || builtinModules.includes(name))
      expect(builtins).toEqual([])
      expect(packages).toContain('ws')
      expect(packages).not.toContain('xstate')
    },
  )
})

/** The imports and re-exports of a file, by a look at its text. */
function importsOf(file: string): Import[] {
  const code = readFileSync(src + file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const statements = code.matchAll(
    /^(?:import|export)\s+(?:(?<type>type\s)?(?<names>[\w*{][^'";=]*?)\sfrom\s+)?'(?<from>[^']+)'/gm,
  )
  const found = [...statements].map(({ groups }) => {
    const names = /\{(?<list>[\s\S]*)\}/.exec(groups?.names ?? '')?.groups?.list?.split(',') ?? []
    const listed = names.map(name => name.trim()).filter(name => name !== '')
    const inline = listed.length > 0 && listed.every(name => name.startsWith('type '))
    return { from: groups?.from ?? '', typeOnly: groups?.type !== undefined || inline }
  })
  const dynamic = [...code.matchAll(/\bimport\('([^']+)'\)/g)].map(match => ({
    from: match[1] ?? '',
    typeOnly: false,
  }))
  return [...found, ...dynamic].map(({ from, typeOnly }) => ({ file, from: resolve(file, from), typeOnly }))
}

/** The source that a relative specifier means; a package's name stays as it is. */
function resolve(file: string, from: string): string {
  if (!from.startsWith('.')) return from
  const path = normalize(join(dirname(file), from))
    .split(sep)
    .join('/')
    .replace(/\.js$/, '.ts')
  return sources.includes(path) ? path : path.replace(/\.ts$/, '.tsx')
}

/** All that an entry point loads at run time. */
function reach(entry: string, seen = new Set<string>()): Set<string> {
  seen.add(entry)
  for (const { file, from, typeOnly } of imports) {
    if (file === entry && !typeOnly && !seen.has(from)) reach(from, seen)
  }
  return seen
}

function partOf(file: string): string | undefined {
  const parts = LEVELS.flat().filter(part => file === part || (part.endsWith('/') && file.startsWith(part)))
  return parts.sort((a, b) => b.length - a.length)[0]
}

function levelOf(file: string): number | undefined {
  const part = besideOf(file) === undefined ? partOf(file) : undefined
  return part === undefined ? undefined : LEVELS.findIndex(level => level.includes(part))
}

function besideOf(file: string): string | undefined {
  return Object.keys(BESIDE).find(place => file.startsWith(place))
}

function arrow({ file, from, typeOnly }: Import): string {
  return `${file} -> ${from}${typeOnly ? ' (types)' : ''}`
}
