import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/upload/app.js'
// @ts-expect-error: as above
import { folderStorage } from '../../examples/upload/storage.js'
import { describeBrowser } from '../support/browser.js'
import { openExample, startExample } from '../support/example.js'

/** Bytes of a piece, and how many pieces the server lets a page be ahead of it. */
const [PIECE, CREDIT] = [64 * 1024, 64]

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Something to wait for. */
function signal() {
  let give = () => {}
  const given = new Promise<void>(resolve => {
    give = resolve
  })
  return { given, give }
}

/** A folder whose writes wait for `opened`, from the third on; `closed` comes when the first file has been let go. */
function slowStorage() {
  const folder = mkdtempSync(join(tmpdir(), 'uploads-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const [opened, closed] = [signal(), signal()]
  let written = 0
  const storage = {
    async begin() {
      const part = await folderStorage(folder).begin()
      return {
        ...part,
        async write(piece: Uint8Array) {
          await part.write(piece)
          if (++written > 2) await opened.given
        },
        close: () => part.close().then(closed.give),
      }
    },
  }
  return { folder, storage, opened, closed }
}

function content(bytes: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: bytes / 4 }, (_, at) => Math.imul(at, 2654435761)).buffer)
}

describeBrowser('the page of uploads', browser => {
  test('reads as much as the server takes, cancels, stores what is whole, and says what is too large', async () => {
    const { folder, storage, opened, closed } = slowStorage()
    const maxBytes = 72 * PIECE
    const { url } = await startExample(
      server => createApp({ server, storage, maxBytes }),
      made => made,
      cleanups,
    )
    const problems: string[] = []
    const page = await openExample(browser(), url, problems, cleanups)
    await page.evaluate(() => {
      const { slice } = Blob.prototype
      Blob.prototype.slice = function (...args) {
        document.title = `${Number(document.title) + 1 || 1}`
        return slice.apply(this, args)
      }
    })
    const piecesRead = async () => Number(await page.title())
    const choose = (buffer: Buffer) =>
      page.getByLabel('A file to store').setInputFiles({ name: '../a.bin', mimeType: 'x/y', buffer })
    const file = content(maxBytes)

    await choose(file)
    await page.getByRole('button', { name: 'Upload' }).click()
    // Two pieces are stored, and the page is as far ahead of the third as it may be.
    await page.waitForFunction(value => document.querySelector('progress')?.value === value, 2 * PIECE)
    await page.waitForFunction(least => Number(document.title) >= least, CREDIT)
    await page.screenshot({ path: 'artifacts/upload/waiting.png' })
    expect(await piecesRead()).toBeLessThanOrEqual(3 + CREDIT)
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/\.part$/)])

    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('Cancelled').waitFor()
    opened.give()
    await closed.given
    expect(readdirSync(folder)).toEqual([])

    await page.getByRole('button', { name: 'Upload' }).click()
    const sha256 = createHash('sha256').update(file).digest('hex')
    await page.getByText(`Stored ${maxBytes} bytes, SHA-256 ${sha256}`).waitFor()
    expect(readdirSync(folder)).toEqual([sha256])
    expect(readFileSync(join(folder, sha256)).equals(file)).toBe(true)
    await page.screenshot({ path: 'artifacts/upload/stored.png' })

    await choose(content(maxBytes + PIECE))
    await page.getByRole('button', { name: 'Upload' }).click()
    await page.getByText(`A file has at most ${maxBytes} bytes`).waitFor()
    expect(readdirSync(folder)).toEqual([sha256])
    expect(problems).toEqual([])
  }, 60_000)
})
