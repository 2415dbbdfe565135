// Addresses that nobody has, and networks that are closed.
import { test } from 'tap'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import { ensureFence } from './overlay-fence.ts'
import { changeGuard, ensureGuard } from './overlay-guard.ts'
import { ensureInternal } from './overlay-internal.ts'

test('unreachable routes', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const list = (): string => output(host, 'ip', ['route', 'show', 'proto', '203']) +
    output(host, 'ip', ['-6', 'route', 'show', 'proto', '203'])
  t.match(ensureFence(host, 77, ['10.1.0.0/16', 'fd00:1::/48']), { added: 2, removed: 0, refused: [] })
  t.match(list(), /unreachable 10\.1\.0\.0\/16 .*\nunreachable fd00:1::\/48 /)
  ensureFence(host, 78, ['10.2.0.0/16'])
  t.match(ensureFence(host, 77, ['10.1.0.0/16', 'fd00:1::/48']), { added: 0, removed: 0 })
  t.match(ensureFence(host, 77, []), { removed: 2 })
  t.match(list(), /^unreachable 10\.2\.0\.0\/16 [^\n]*\n$/)
})

test('internal networks', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  const list = (): string => output(host, 'nft', ['list', 'ruleset'])
  ensureInternal(host, [])
  t.equal(list(), '', 'nothing to do')
  ensureInternal(host, [['10.1.0.0/16', 'fd00:1::/48'], ['10.2.0.0/16', '10.3.0.0/20']])
  const listed = list()
  t.match(listed, /ip saddr 10\.1\.0\.0\/16 ip daddr != 10\.1\.0\.0\/16 counter packets 0 bytes 0 drop/)
  t.match(listed, /ip daddr 10\.2\.0\.0\/16 ip saddr != 10\.2\.0\.0\/16 ip saddr != 10\.3\.0\.0\/20 counter/)
  t.match(listed, /ip6 saddr fd00:1::\/48 ip6 daddr != fd00:1::\/48 counter/)
  ensureInternal(host, [['10.1.0.0/16', 'fd00:1::/48'], ['10.2.0.0/16', '10.3.0.0/20']])
  t.equal(list(), listed)
  output(host, 'nft', ['flush chain inet fairlead_overlay internal'])
  ensureInternal(host, [['10.1.0.0/16', 'fd00:1::/48'], ['10.2.0.0/16', '10.3.0.0/20']])
  t.equal(list(), listed, 'mended')
  ensureInternal(host, [])
  t.notMatch(list(), /drop/)
})

test('a guard that changes', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  const members = (): string => output(host, 'nft', ['list set inet fairlead_overlay vteps4'])
  ensureGuard(host, { ports: [4789], vteps: ['192.0.2.1', '192.0.2.2'], tunnels: [] })
  changeGuard(host, ['192.0.2.1', '192.0.2.9'], ['192.0.2.2', '192.0.2.3', '2001:db8::1'])
  t.match(members(), /elements = \{ 192\.0\.2\.2, 192\.0\.2\.3 \}/)
  output(host, 'nft', ['delete table inet fairlead_overlay'])
  t.throws(() => changeGuard(host, [], ['192.0.2.4']), { code: 'ENOENT' })
})
