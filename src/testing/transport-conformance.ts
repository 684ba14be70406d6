import type { Frame } from '../codec/codec.js'
import { LinkRecorder } from './link-recorder.js'
import { type RecordedLink, RecordingHost } from './recording-host.js'
import {
  type ConformanceClient,
  type ConformanceSubject,
  codeOf,
  deferred,
  type Fixture,
  failure,
  plain,
  statusOf,
  type TestRunner,
  thrown,
  withFixture,
} from './transport-fixture.js'

export type { ConformanceClient, ConformanceSubject, TestRunner } from './transport-fixture.js'

/**
 * Holds a transport to every MUST of `transport.ts`.
 *
 * What its capabilities exclude is skipped, and the name of the skipped test says why.
 *
 * @param name shown in the report
 * @param setup called once per test, and once before for the capabilities
 * @example transportConformance('memory', setup, { describe, test, expect })
 */
export function transportConformance(name: string, setup: () => ConformanceSubject, runner: TestRunner) {
  const { describe, test, expect } = runner
  const sample = setup()
  const { capabilities } = sample.transport

  const check = (title: string, body: (fixture: Fixture) => Promise<void>, lacks?: string | false): void => {
    if (lacks) test.skip(`${title} (skipped: ${lacks})`, async () => undefined)
    else test(title, () => withFixture(setup, body))
  }
  const noPause = !capabilities.pause && 'it cannot pause'
  const noCodes = !capabilities.closeCodes && 'it has no close codes'
  const noBound = capabilities.maxFrame === Number.POSITIVE_INFINITY && 'it takes frames of any size'
  const bytes = (size: number): Frame =>
    capabilities.binary ? new Uint8Array(size).fill(7) : '7'.repeat(size)

  describe(`${name} as a transport`, () => {
    check('asks for a verdict before it connects, once each', async ({ host, pair }) => {
      const { server } = await pair()
      expect(host.calls).toEqual(['authorize', 'connect'])
      expect(server.handshake === host.handshakes[0]).toBe(true)
    })

    check('waits for a verdict that takes time', async ({ subject, host }) => {
      const verdict = deferred<{ accept: true }>()
      const asked = deferred<void>()
      host.decide = () => {
        asked.resolve()
        return verdict.promise
      }
      const connecting = subject.connect(new LinkRecorder(), [])
      await asked.promise
      expect(host.calls).toEqual(['authorize'])
      verdict.resolve({ accept: true })
      await connecting
      await host.nextLink()
      expect(host.calls).toEqual(['authorize', 'connect'])
    })

    check('refuses with the status of the verdict', async ({ subject, host }) => {
      host.decide = () => ({ accept: false, status: 403, message: 'No entry' })
      const error = await failure(subject.connect(new LinkRecorder(), []))
      expect(statusOf(error)).toBe(403)
      expect(host.calls).toEqual(['authorize'])
    })

    check('answers with the subprotocol of the verdict', async ({ subject, host }) => {
      host.decide = ({ protocols }) => ({ accept: true, protocol: protocols[1] })
      const client = await subject.connect(new LinkRecorder(), ['one', 'two'])
      expect(host.handshakes[0]?.protocols).toEqual(['one', 'two'])
      expect(client.protocol).toBe('two')
    })

    check('delivers 1,000 frames of one tick in order, both ways', async ({ pair }) => {
      const { client, seen, server } = await pair()
      const frames = Array.from({ length: 1000 }, (_, i) => `frame ${i}`)
      for (const frame of frames) server.link.send(frame)
      for (const frame of frames) client.send(frame)
      expect(await seen.received(1000)).toEqual(frames)
      expect(await server.recorder.received(1000)).toEqual(frames)
    })

    check(
      'keeps text text and bytes bytes',
      async ({ pair }) => {
        const { client, seen, server } = await pair()
        const frames = ['grüße 👋', Uint8Array.of(0xc3, 0x28, 0), '', new Uint8Array(0), 'end']
        for (const frame of frames) {
          client.send(frame)
          server.link.send(frame)
        }
        expect((await server.recorder.received(5)).map(plain)).toEqual(frames.map(plain))
        expect((await seen.received(5)).map(plain)).toEqual(frames.map(plain))
      },
      !capabilities.binary && 'it carries text only',
    )

    for (const size of [0, 1, 125, 126, 65_535, 65_536, capabilities.maxFrame]) {
      const tooBig = size > capabilities.maxFrame && 'its frames are smaller'
      const endless = size === Number.POSITIVE_INFINITY && 'it takes frames of any size'
      check(
        `carries a frame of ${size} bytes, among others`,
        async ({ pair }) => {
          const { client, seen, server } = await pair()
          const frames = ['before', bytes(size), 'after']
          for (const frame of frames) {
            client.send(frame)
            server.link.send(frame)
          }
          expect((await server.recorder.received(3)).map(plain)).toEqual(frames.map(plain))
          expect((await seen.received(3)).map(plain)).toEqual(frames.map(plain))
        },
        tooBig || endless,
      )
    }

    check(
      'closes on a frame over its bound, with 1009',
      async ({ pair }) => {
        const { client, seen, server } = await pair()
        client.send(bytes(capabilities.maxFrame + 1))
        expect((await server.recorder.ended()).code).toBe(1009)
        if (capabilities.closeCodes) expect((await seen.ended()).code).toBe(1009)
        expect(server.recorder.frames).toEqual([])
      },
      noBound,
    )

    check('never calls a handler from within send', async ({ pair }) => {
      const { seen, server } = await pair()
      server.link.send('x')
      expect(seen.frames).toEqual([])
      await seen.received(1)
    })

    check(
      'tells the client the code and reason of the server',
      async ({ pair }) => {
        const { seen, server } = await pair()
        server.link.close(4404, 'gone fishing')
        expect(await seen.ended()).toEqual({ code: 4404, reason: 'gone fishing' })
        expect(await server.recorder.ended()).toEqual({ code: 4404, reason: 'gone fishing' })
      },
      noCodes,
    )

    check(
      'tells the server the code and reason of the client',
      async ({ pair }) => {
        const { client, server } = await pair()
        client.close(4001, 'had enough')
        expect(await server.recorder.ended()).toEqual({ code: 4001, reason: 'had enough' })
      },
      noCodes,
    )

    check(
      'cuts a reason to 123 bytes, between characters',
      async ({ pair }) => {
        const { seen, server } = await pair()
        server.link.close(4404, '€'.repeat(50))
        expect((await seen.ended()).reason).toBe('€'.repeat(41))
      },
      noCodes,
    )

    check('refuses a close code that must not be sent, and stays open', async ({ pair }) => {
      const { seen, server } = await pair()
      expect(codeOf(thrown(() => server.link.close(1006, '')))).toBe('INVALID_OPTION')
      server.link.send('still here')
      await seen.received(1)
    })

    check('delivers what was sent before a close', async ({ pair }) => {
      const { seen, server } = await pair()
      for (let i = 0; i < 100; i++) server.link.send(`last ${i}`)
      server.link.close(1000, '')
      await seen.ended()
      expect(seen.frames.length).toBe(100)
    })

    check('delivers no frame after close was called', async ({ pair }) => {
      const { client, server } = await pair()
      client.send('too late')
      server.link.close(1000, '')
      await server.recorder.ended()
      expect(server.recorder.frames).toEqual([])
    })

    for (const [who, end] of Object.entries(ENDINGS)) {
      check(`says closed exactly once when ${who}`, async fixture => {
        const { client, server, seen } = await fixture.pair()
        await end(fixture, server, client)
        await Promise.all([server.recorder.ended(), seen.ended()])
        // Stopping waits for all that is still to come.
        await fixture.transport.stop()
        expect(server.recorder.endings.length).toBe(1)
        expect(seen.endings.length).toBe(1)
      })
    }

    check('gives 1006 for a client that vanished', async ({ pair }) => {
      const { client, server } = await pair()
      client.terminate()
      expect((await server.recorder.ended()).code).toBe(1006)
    })

    check('does nothing on a closed link', async ({ pair }) => {
      const { server } = await pair()
      const { link, recorder } = server
      link.close(1000, '')
      expect(link.send('lost')).toBe(false)
      await recorder.ended()
      expect(link.send('lost')).toBe(false)
      expect(link.bufferedBytes).toBe(0)
      link.pause()
      link.resume()
      link.close(1000, '')
      link.terminate()
      expect(recorder.endings.length).toBe(1)
    })

    check(
      'holds frames back while paused and loses none',
      async ({ pair }) => {
        const { client, seen, server } = await pair()
        const frames = Array.from({ length: 500 }, (_, i) => `frame ${i}`)
        server.recorder.onframe = frame => {
          if (frame === 'frame 100') server.link.pause()
        }
        for (const frame of frames) client.send(frame)
        await server.recorder.received(101)
        // The way out stays open while the way in is paused.
        server.link.send('still sending')
        await seen.received(1)
        server.link.resume()
        expect(await server.recorder.received(500)).toEqual(frames)
      },
      noPause,
    )

    check('says when it is full and when it has drained', async ({ pair }) => {
      const { client, seen, server } = await pair()
      client.pause()
      const frame = 'x'.repeat(16 * 1024)
      let sent = 1
      while (server.link.send(frame)) sent++
      expect(server.link.bufferedBytes > 0).toBe(true)
      expect(server.recorder.drains).toBe(0)
      client.resume()
      await server.recorder.drainedTimes(1)
      expect(server.link.send('more')).toBe(true)
      expect((await seen.received(sent + 1)).length).toBe(sent + 1)
    })

    check('takes no more clients after stopAccepting, and keeps those it has', async fixture => {
      const { subject, transport, pair } = fixture
      const { seen, server } = await pair()
      transport.stopAccepting()
      transport.stopAccepting()
      await failure(subject.connect(new LinkRecorder(), []))
      server.link.send('still served')
      expect(await seen.received(1)).toEqual(['still served'])
    })

    check('terminates every link when it stops, and takes no more', async fixture => {
      const { subject, transport, host, pair } = fixture
      const pairs = [await pair(), await pair(), await pair()]
      await Promise.all([transport.stop(), transport.stop()])
      for (const { server } of pairs) expect(server.recorder.endings.length).toBe(1)
      await failure(subject.connect(new LinkRecorder(), []))
      expect(host.links.length).toBe(3)
      await transport.stop()
    })

    check('stops when nothing is left to close', async ({ subject, transport, pair }) => {
      const { server } = await pair()
      server.link.close(1000, '')
      await server.recorder.ended()
      transport.stopAccepting()
      await failure(subject.connect(new LinkRecorder(), []))
      await transport.stop()
      expect(transport.address()).toBe(undefined)
    })

    check('starts again after it has stopped', async ({ transport, host, pair }) => {
      await transport.stop()
      await transport.start(host)
      const { client, server } = await pair()
      client.send('back')
      expect(await server.recorder.received(1)).toEqual(['back'])
    })

    check('refuses to start twice', async ({ transport, host }) => {
      expect(codeOf(await failure(transport.start(host)))).toBe('INVALID_STATE')
    })

    check(
      'says where it is taken, and starts there later',
      async ({ subject, transport }) => {
        const rival = subject.rival!()
        const host = new RecordingHost()
        const error = await failure(rival.start(host))
        expect(error instanceof Error).toBe(true)
        expect(rival.address()).toBe(undefined)
        await transport.stop()
        await rival.start(host)
        expect(typeof rival.address()?.url).toBe('string')
        await rival.stop()
      },
      sample.rival === undefined && 'it shares its place',
    )
  })
  void sample.dispose?.()
}

const ENDINGS: Record<
  string,
  (fixture: Fixture, server: RecordedLink, client: ConformanceClient) => Promise<void> | void
> = {
  'the server closes': (_fixture, { link }) => link.close(4404, ''),
  'the client closes': (_fixture, _server, client) => client.close(1000, ''),
  'both close at once': (_fixture, { link }, client) => {
    link.close(1000, '')
    client.close(1000, '')
  },
  'the server terminates': (_fixture, { link }) => link.terminate(),
  'the client terminates': (_fixture, _server, client) => client.terminate(),
  'the server closes and terminates': (_fixture, { link }) => {
    link.close(1000, '')
    link.terminate()
  },
  'the transport stops': ({ transport }) => transport.stop(),
}
