// Takes LMDB's one write lock in the folder given, says so, and keeps it until it is killed.
import { writeSync } from 'node:fs'
import { open } from 'lmdb'

const root = open({ path: process.argv[2], noSubdir: false, overlappingSync: false })
root.transactionSync(() => {
  writeSync(1, 'held\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
