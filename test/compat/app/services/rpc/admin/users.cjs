exports.actions = (_req, res) => ({ list: () => res(['ann', 'bob']) })
