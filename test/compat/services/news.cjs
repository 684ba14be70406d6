'use strict'

// PubSub as 0.4 had it.
module.exports = () => ({
  use: { json: true, sessions: true },
  client: require('./news-client.cjs'),
  server: server => {
    const all = (event, ...params) => server.broadcast({ e: event, p: params })
    return { broadcast: all, all }
  },
})
