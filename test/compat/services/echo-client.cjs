module.exports = client => {
  const heard = []
  client.onmessage = msg => {
    heard.push(msg)
    if (echo.wake) echo.wake()
  }
  function echo(msg, cb) {
    client.send(msg, cb)
  }
  echo.heard = heard
  echo.client = client
  return echo
}
