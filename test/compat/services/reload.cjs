'use strict'

const path = require('node:path')

// Livereload in the manner of 0.4, but for the watcher: it finds its folders by its own.
module.exports = options => ({
  client: require('./reload-client.cjs'),
  server: server => {
    const dirs = options.dirs.map(dir => path.join(server.service.assigned.root, '..', dir))
    server.log('Monitoring changes in', dirs.length, 'folders')
    return { dirs, changed: () => server.broadcast('reload') }
  },
})
