/** Loaded before a program of the docs: tells the test that it listens, which the program itself does not say. */
import { Server } from 'node:net'

const { emit } = Server.prototype
Server.prototype.emit = function announcing(event, ...details) {
  if (event === 'listening') process.send?.('listening')
  return emit.call(this, event, ...details)
}
