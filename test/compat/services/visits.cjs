'use strict'

// Counts by the session, in the manner of 0.4.
module.exports = () => ({
  use: { json: true, callbacks: true, sessions: true },
  client: client => ({
    count: cb => {
      client.send({}, cb)
    },
  }),
  server: server => {
    server.onmessage = (_msg, req, reply) => {
      req.session.visits = (req.session.visits || 0) + 1
      req.session.save(() => reply({ id: req.session.id, visits: req.session.visits }))
    }
    return null
  },
})
