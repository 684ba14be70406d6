'use strict'

// A middleware of 0.4: state by socket, tidied up when it goes.
module.exports = options => server => {
  const counts = {}
  options.counts = counts
  server.events.on('client:disconnect', id => {
    delete counts[id]
  })
  return (req, res, next) => {
    counts[req.socketId] = (counts[req.socketId] || 0) + 1
    if (counts[req.socketId] > options.max) return res('Request dropped by rate limiter')
    req.tag = 'from middleware'
    next()
  }
}
