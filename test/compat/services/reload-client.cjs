module.exports = client => {
  client.onmessage = msg => {
    if (msg === 'reload') window.location.reload()
  }
}
