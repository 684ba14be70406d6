'use strict'

// Texts only, and nothing in `use`.
module.exports = () => ({
  server: server => {
    server.onmessage = (msg, req) => {
      server.sendToSocketId(req.socketId, `${msg.toUpperCase()} (${typeof msg})`)
    }
    return null
  },
  client: client => {
    const heard = []
    client.onmessage = msg => {
      heard.push(msg)
    }
    return { say: client.send.bind(client), heard: heard }
  },
})
