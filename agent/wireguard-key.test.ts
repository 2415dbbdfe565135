// Keys against RFC 7748, section 6.1, and wg(8), and what a file may hold.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { lacks } from '#tools/kernel.ts'
import { keepKey, publicKeyOf } from './wireguard-key.ts'

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')

void test('a public key', async t => {
  t.equal(publicKeyOf(base64('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')),
    base64('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'))
})

void test('as wg has it', { skip: lacks('wg') }, async t => {
  const run = (args: readonly string[], input = ''): string => spawnSync('wg', args, { input, encoding: 'utf8' }).stdout
  for (let i = 0; i < 20; i++) {
    const secret = run(['genkey']).trim()
    t.equal(publicKeyOf(secret), run(['pubkey'], secret).trim())
  }
})

void test('a file', async t => {
  const place = mkdtempSync('/tmp/fairlead-key-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  const path = `${place}/state/wireguard.key`
  const key = keepKey(path)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(`${place}/state`).mode & 0o777, 0o700)
  t.equal(readFileSync(path, 'utf8'), `${key}\n`)
  t.equal(keepKey(path), key)
  t.not(keepKey(`${place}/other.key`), key)
  writeFileSync(path, base64('ff'.repeat(32)))
  t.equal(keepKey(path), base64(`f8${'ff'.repeat(30)}7f`), 'as the kernel keeps it')
  for (const wrong of ['', 'secret', base64('00'.repeat(31)), base64('00'.repeat(33)), `${key} ${key}`]) {
    writeFileSync(path, wrong)
    t.throws(() => keepKey(path), { obstacle: 'invalid', message: `${path} holds no WireGuard key` })
  }
})
