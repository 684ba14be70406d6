exports.actions = (req, res, ss) => {
  if (req.params[0] === 'guarded') {
    req.use((req, _res, next) => {
      req.params.push('guard')
      next()
    })
    req.use(
      word => (req, _res, next) => {
        req.params.push(word)
        next()
      },
      'made',
    )
    req.use(() => (req, _res, next) => {
      req.params.push('bare')
      next()
    })
  }
  return {
    square: number => res(number * number),
    pair: (a, b) => res(a, b),
    passed: (...all) => res(all),
    tag: () => res(req.tag, req.socketId),
    hello: () => res(ss.echo.hello(), ss.api.echo.hello()),
    fails: () => res(new Error('Out of seats')),
    visits() {
      req.session.visits = (req.session.visits || 0) + 1
      req.session.save(() => res(req.session.visits))
    },
  }
}
