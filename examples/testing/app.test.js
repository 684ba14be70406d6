// @ts-check
/** The tests of the chat: `node --test examples/testing/`. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { faultLink, testServer } from 'socketstream-server/testing'
import { createApp } from './app.js'

/** @type {import('socketstream-server/testing').TestKit<ReturnType<typeof createApp>>} */
let kit

beforeEach(async () => {
  kit = await testServer(createApp)
})
afterEach(() => kit.stop())

/** A client in the room, with what it hears. @param {string} name @param {object} [options] */
async function enter(name, options) {
  const client = await kit.connect(options)
  /** @type {string[]} */
  const heard = []
  client.api.chat.on('said', (from, text) => void heard.push(`${from}: ${text}`))
  await client.api.chat.subscribe('room')
  await client.api.rpc.join(name)
  return { client, heard }
}

test('everybody hears what is said', async () => {
  const ann = await enter('Ann')
  const bob = await enter('Bob')
  await ann.client.api.rpc.say('hello')
  await kit.settle()
  assert.deepEqual([ann.heard, bob.heard], [['Ann: hello'], ['Ann: hello']])
})

test('nobody speaks without a name', async () => {
  const client = await kit.connect()
  await assert.rejects(client.api.rpc.say('hello'), { code: 'NOT_JOINED' })
})

test('who was cut off misses nothing, and is still known', async () => {
  const faults = faultLink({ seed: 1 })
  const ann = await enter('Ann', { faults })
  const bob = await enter('Bob')
  faults.cut()
  await bob.client.api.rpc.say('are you there?')
  await kit.advance(1_000)
  await kit.settle()
  assert.deepEqual(ann.heard, ['Bob: are you there?'])
  await ann.client.api.rpc.say('yes')
})
