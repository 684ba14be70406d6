import type { Statechart, StateNode } from '../protocol/index.js'

/** A state as a box; places are of the whole drawing, in pixels. */
export interface Box {
  readonly node: StateNode
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly notes: readonly string[]
}

/** A transition as a line from one box to another, or to itself. */
export interface Edge {
  readonly from: string
  readonly to: string
  readonly label: string
  readonly path: string
  readonly x: number
  readonly y: number
}

export interface Drawing {
  readonly width: number
  readonly height: number
  readonly boxes: readonly Box[]
  readonly edges: readonly Edge[]
}

const CHARACTER = 6.6
const PAD = 14
const HEAD = 24
const NOTE = 15
const GAP_Y = 26
const MIN_GAP = 56
const MAX_GAP = 190
const MAX_LABEL = 28

interface Sized {
  readonly node: StateNode
  readonly notes: readonly string[]
  readonly width: number
  readonly height: number
  /** Children with their place in it. */
  readonly inner: readonly { readonly x: number; readonly y: number; readonly sized: Sized }[]
}

/**
 * Lays a statechart out in layers: children stand in columns by how many transitions they are from the initial one.
 *
 * Regions of a parallel state stand below each other.
 */
export function layout({ root }: Statechart): Drawing {
  const sized = measure(root)
  const boxes: Box[] = []
  place(sized, 1, 1, 0, boxes)
  const byId = new Map(boxes.map(box => [box.node.id, box]))
  const edges = boxes.flatMap(box => edgesOf(box, byId))
  // Lines that lead back run below the boxes.
  const bottom = Math.max(...edges.map(({ y }) => y + 14), sized.height + 2)
  const right = Math.max(
    ...edges.map(({ x, label }) => x + (label.length * CHARACTER) / 2 + 6),
    sized.width + 2,
  )
  return { width: right, height: bottom, boxes, edges }
}

/** A transition in one line. */
function labelOf({ event, guard }: StateNode['transitions'][number]): string {
  const label = guard === undefined ? event : `${event} [${guard}]`
  return label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label
}

function measure(node: StateNode): Sized {
  const notes = [
    ...node.entry.map(name => `entry / ${name}`),
    ...node.exit.map(name => `exit / ${name}`),
    ...node.invoke.map(name => `invoke ${name}`),
  ].map(note => (note.length > 40 ? `${note.slice(0, 39)}…` : note))
  const text = Math.max(node.key.length + 4, ...notes.map(note => note.length))
  const head = HEAD + notes.length * NOTE
  const children = node.states.map(measure)
  if (children.length === 0) {
    const loops = node.transitions.some(({ targets }) => targets.length === 0)
    return {
      node,
      notes,
      width: Math.max(70, text * CHARACTER + PAD),
      height: head + (loops ? 16 : 6),
      inner: [],
    }
  }
  const layers = node.type === 'parallel' ? [children] : layersOf(node, children)
  const inner: { x: number; y: number; sized: Sized }[] = []
  const gap = node.type === 'parallel' ? MIN_GAP : gapOf(node)
  let x = PAD
  let height = 0
  for (const layer of layers) {
    let y = head + PAD
    for (const sized of layer) {
      inner.push({ x, y, sized })
      y += sized.height + GAP_Y
    }
    height = Math.max(height, y)
    x += Math.max(...layer.map(({ width }) => width)) + gap
  }
  const width = Math.max(x - gap + PAD, text * CHARACTER + PAD)
  // Below the lowest there is room for what leads back.
  return { node, notes, width, height: height + 6, inner }
}

/** Room between columns for the longest label. */
function gapOf(node: StateNode): number {
  const labels = node.states.flatMap(({ transitions }) =>
    transitions.filter(({ targets }) => targets.length > 0).map(labelOf),
  )
  const longest = Math.max(0, ...labels.map(label => label.length))
  return Math.min(MAX_GAP, Math.max(MIN_GAP, longest * CHARACTER + 20))
}

function layersOf(node: StateNode, children: readonly Sized[]): readonly (readonly Sized[])[] {
  const holds = (sized: Sized, id: string): boolean =>
    sized.node.id === id || sized.inner.some(({ sized: inner }) => holds(inner, id))
  const targets = (state: StateNode): readonly string[] => [
    ...state.transitions.flatMap(({ targets }) => targets),
    ...state.states.flatMap(targets),
  ]
  const first = children.find(({ node: { id } }) => id === node.initial) ?? children[0]!
  const layers: Sized[][] = []
  const seen = new Set<Sized>()
  let layer = [first]
  while (layer.length > 0) {
    for (const sized of layer) seen.add(sized)
    layers.push(layer)
    const next = layer.flatMap(({ node }) => targets(node))
    layer = children.filter(child => !seen.has(child) && next.some(id => holds(child, id)))
  }
  const rest = children.filter(child => !seen.has(child))
  if (rest.length > 0) layers.push(rest)
  return layers
}

function place(sized: Sized, x: number, y: number, depth: number, boxes: Box[]): void {
  const { node, notes, width, height, inner } = sized
  boxes.push({ node, notes, x, y, width, height, depth })
  for (const child of inner) place(child.sized, x + child.x, y + child.y, depth + 1, boxes)
}

function edgesOf(box: Box, byId: ReadonlyMap<string, Box>): readonly Edge[] {
  const from = box.node.id
  const leaves = box.node.transitions.filter(({ targets }) => targets.length > 0)
  const stays = box.node.transitions.filter(({ targets }) => targets.length === 0)
  const edges = leaves.flatMap((transition, index) =>
    transition.targets.flatMap(id => {
      const to = byId.get(id)
      return to === undefined ? [] : [edge(box, to, labelOf(transition), index, leaves.length)]
    }),
  )
  if (stays.length === 0) return edges
  const label = [...new Set(stays.map(labelOf))].join(', ')
  const short = label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label
  return [
    ...edges,
    { from, to: from, label: `↻ ${short}`, path: '', x: box.x + box.width / 2, y: box.y + box.height - 6 },
  ]
}

function edge(from: Box, to: Box, label: string, index: number, count: number): Edge {
  const ids = { from: from.node.id, to: to.node.id, label }
  const spread = from.height * ((index + 1) / (count + 1))
  if (from !== to && to.x >= from.x + from.width) {
    const [x1, y1, x2, y2] = [from.x + from.width, from.y + spread, to.x, to.y + Math.min(14, to.height / 2)]
    const middle = (x1 + x2) / 2
    const path = `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`
    return { ...ids, path, x: middle, y: (y1 + y2) / 2 - 4 + (index % 2) * 2 }
  }
  // Back, up or down: below both boxes, or beside them when they stand in one column.
  const x1 = from.x + from.width * ((index + 1) / (count + 1))
  const x2 = to.x + to.width / 2
  const y1 = from.y + from.height
  const isBelow = to.y > y1
  const y2 = isBelow ? to.y : to.y + to.height
  const low = isBelow ? (y1 + y2) / 2 : Math.max(y1, y2) + 22 + index * 12
  const path = isBelow
    ? `M${x1} ${y1}C${x1} ${low} ${x2} ${low} ${x2} ${y2}`
    : `M${x1} ${y1}C${x1} ${low + 6} ${x2} ${low + 6} ${x2} ${y2}`
  return { ...ids, path, x: (x1 + x2) / 2, y: isBelow ? low : low - 2 }
}
