module.exports = client => {
  const EE = require('events').EventEmitter
  const ee = new EE()
  client.onmessage = obj => ee.emit(obj.e, obj.p)
  return ee
}
