/** What is inferred from the options of a model. Nothing here runs: `tsc` checks it. */
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { createClient } from '../../src/client/node.js'
import type { Server } from '../../src/server.js'
import { modelClient } from '../../src/services/model/client.js'
import {
  type ModelContext,
  memoryStorage,
  model,
  type RemoteQuery,
  type RemoteRecord,
  type Stored,
} from '../../src/services/model/index.js'

const Todo = z.object({ id: z.string(), text: z.string(), done: z.boolean().default(false) })
type Todo = z.output<typeof Todo>
interface Note {
  readonly slug: string
  readonly body: string
}

function makeApp(server: Server) {
  return server
    .service(
      'todos',
      model({
        ...memoryStorage(),
        schema: Todo,
        authorize(ctx, action, todo, next) {
          expectTypeOf(ctx).toEqualTypeOf<ModelContext>()
          expectTypeOf(action).toEqualTypeOf<'read' | 'create' | 'update' | 'remove'>()
          expectTypeOf(todo).toEqualTypeOf<Todo>()
          expectTypeOf(next).toEqualTypeOf<Todo | undefined>()
          return true
        },
        queries: {
          open: { filter: todo => !todo.done },
          by: { filter: (todo, params: { text: string }) => todo.text === params.text },
          checked: { params: z.number(), filter: () => true },
        },
      }),
    )
    .service('notes', model({ ...memoryStorage<Note>(), key: 'slug', authorize: async () => true }))
    .service(
      'functions',
      model({
        load: async (id): Promise<Stored<Note> | undefined> => ({
          record: { slug: id, body: '' },
          version: 1,
        }),
        list: () => [],
        create: () => 1,
        update: () => 1,
        remove: () => true,
        key: 'slug',
        authorize: (_ctx, _action, note) => note.body !== '',
      }),
    )
}

function makeClient() {
  return createClient<ReturnType<typeof makeApp>>({ url: '', services: { todos: modelClient } })
}
type Api = ReturnType<typeof makeClient>['api']

describe('the client of a model', () => {
  it('has the records of its schema', () => {
    expectTypeOf<ReturnType<Api['todos']['get']>>().toEqualTypeOf<RemoteRecord<Todo>>()
    expectTypeOf<Parameters<Api['todos']['create']>[0]>().toExtend<{ id?: string; text: string }>()
    const write = (todos: Api['todos']): unknown[] => [
      todos.create({ text: 'tea' }),
      todos.create({ id: '1', text: 'tea', done: true }),
      // @ts-expect-error it needs a text
      todos.create({ done: true }),
      todos.update('1', { done: true }),
      todos.update('1', todo => ({ ...todo, done: !todo.done })),
      // @ts-expect-error done is a boolean
      todos.update('1', { done: 'yes' }),
    ]
    expectTypeOf(write).toBeFunction()
  })

  it('has its queries, with their parameters', () => {
    const ask = (todos: Api['todos']): unknown[] => {
      expectTypeOf(todos.query('open')).toEqualTypeOf<RemoteQuery<Todo>>()
      return [
        todos.query('by', { text: 'tea' }, { limit: 10 }),
        todos.query('checked', 7),
        // @ts-expect-error it needs parameters
        todos.query('by'),
        // @ts-expect-error a number
        todos.query('checked', 'seven'),
        // @ts-expect-error there is no such query
        todos.query('none'),
      ]
    }
    expectTypeOf(ask).toBeFunction()
  })

  it('has the records of its functions', () => {
    expectTypeOf<ReturnType<Api['notes']['get']>>().toEqualTypeOf<RemoteRecord<Note>>()
    expectTypeOf<ReturnType<Api['functions']['get']>>().toEqualTypeOf<RemoteRecord<Note>>()
    expectTypeOf<Parameters<Api['notes']['create']>[0]>().toExtend<{ slug?: string; body: string }>()
  })
})
