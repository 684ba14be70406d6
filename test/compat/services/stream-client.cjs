module.exports = client => {
  // biome-ignore lint/style/useNodejsImportProtocol: as halves of 0.4 had it
  const Stream = require('stream')
  const stream = new Stream()
  stream.readable = true
  stream.writable = true
  client.onmessage = msg => stream.emit('data', msg)
  stream.write = chunk => client.send(chunk)
  return stream
}
