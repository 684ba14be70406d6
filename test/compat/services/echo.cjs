'use strict'

// A service as they were written for SocketStream 0.4: says what it was given, and answers.
module.exports = options => {
  options = options || {}
  const service = { use: { json: true, callbacks: true } }
  service.client = require('./echo-client.cjs')

  service.server = server => {
    const seen = options.seen || {}
    const { assigned, services } = server.service
    seen.assigned = assigned
    seen.servicesRoot = services.root
    seen.relativeRoot = server.service.relativeRoot()
    server.log('i', 'looking in', server.service.relativeRoot())
    server.debug('only', 'when asked')
    server.events.on('client:connect', id => {
      seen.connected = id
    })
    server.events.on('client:disconnect', id => {
      seen.disconnected = id
    })
    server.onmessage = (msg, req, reply) => {
      seen.request = req
      if (msg.do === 'reply') return reply({ you: msg.value })
      if (msg.do === 'send') return server.sendToSocketId(req.socketId, { to: 'you' })
      if (msg.do === 'several') return server.sendToSocketIds([req.socketId, 'nobody'], { to: 'several' })
      if (msg.do === 'one') return server.sendToSocketIds(req.socketId, { to: 'one' })
      if (msg.do === 'broadcast') return server.broadcast({ to: 'all' })
      if (msg.do === 'write') {
        req.type = 'mine'
        req.session = { mine: true }
        req.transport = 'mine'
        req.clientIp = 'mine'
        req.attributes = { mine: true }
        req.extra = msg.value
        return reply([req.type, req.session, req.transport, req.clientIp, req.attributes, req.extra, req.tag])
      }
    }
    return { hello: () => 'from echo' }
  }
  return service
}
