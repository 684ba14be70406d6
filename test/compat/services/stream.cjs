'use strict'

const { Duplex } = require('node:stream')

// A duplex stream on the server, a legacy stream in clients.
module.exports = () => ({
  client: require('./stream-client.cjs'),
  server: server => {
    const stream = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        server.broadcast(chunk)
        done()
      },
    })
    server.onmessage = msg => stream.push(msg)
    return stream
  },
})
