// What agents ask each other, and what is no such thing.
import { test } from 'tap'
import { PROBE_SIZE, readProbe, writeProbe } from './probe.ts'

const nonce = '00112233445566ff'

void test('questions and answers', async t => {
  for (const kind of ['question', 'answer'] as const)
    for (const hasChecksum of [true, false]) {
      const data = writeProbe({ kind, hasChecksum, nonce }, 'secret')
      t.equal(data.length, PROBE_SIZE, 'an answer is as long as its question')
      t.same(readProbe(data, () => 'secret'), { kind, hasChecksum, nonce })
      t.equal(readProbe(data, () => 'another'), undefined)
      t.equal(readProbe(data, () => undefined), undefined)
      for (let i = 0; i < data.length; i++)
        t.equal(readProbe(data.map((byte, at) => at === i ? byte ^ 1 : byte), () => 'secret'), undefined, `byte ${i}`)
      t.equal(readProbe(data.subarray(1), () => 'secret'), undefined)
      t.equal(readProbe(Uint8Array.of(...data, 0), () => 'secret'), undefined)
    }
  t.equal(readProbe(new Uint8Array(), () => 'secret'), undefined)
})
