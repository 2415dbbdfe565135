// Strangers on the underlay, and connections through a path that is narrower than it seems.
import { spawn } from 'node:child_process'
import { test } from 'tap'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import { Lab, type LabHost } from '#tools/lab.ts'
import { ensureGuard, removeGuard, type Guard } from './overlay-guard.ts'
import { ensureOverlay } from './overlay.ts'

const skip = lacks('nft') || lacks('ping') || kernelLacks('vxlan')

test('rules and sets', { skip }, async t => {
  const host = ownNamespace(t)
  const list = (): string => output(host, 'nft', ['list', 'ruleset'])
  removeGuard(host)
  const guard: Guard = {
    ports: [4789, 8472], vteps: ['192.0.2.2', '2001:db8::2', '192.0.2.3'], tunnels: ['fl-vx001001'],
  }
  ensureGuard(host, guard)
  const listed = list()
  t.match(listed, /udp dport @ports ip saddr != @vteps4 counter packets 0 bytes 0 drop/)
  t.match(listed, /udp dport @ports ip6 saddr != @vteps6 counter packets 0 bytes 0 drop/)
  t.match(listed, /oifname @tunnels tcp flags syn tcp option maxseg size set rt mtu/)
  t.match(listed, /elements = \{ 4789, 8472 \}/)
  t.match(listed, /elements = \{ 192\.0\.2\.2, 192\.0\.2\.3 \}/)
  ensureGuard(host, guard)
  t.equal(list(), listed)
  output(host, 'nft', ['flush', 'ruleset'])
  output(host, 'nft', ['-f', '-'], listed)
  t.equal(list(), listed, 'reads back')
  ensureGuard(host, guard)
  t.equal(list(), listed)

  for (const harm of [
    'flush chain inet fairlead_overlay input', 'flush chain inet fairlead_overlay forward',
    'flush set inet fairlead_overlay vteps4', 'delete table inet fairlead_overlay',
    'add rule inet fairlead_overlay input udp dport @ports accept',
    'add element inet fairlead_overlay vteps6 { 2001:db8::bad }',
  ]) {
    output(host, 'nft', [harm])
    ensureGuard(host, guard)
    t.equal(list(), listed, harm)
  }
  ensureGuard(host, { ...guard, vteps: ['192.0.2.9'], ports: [4789] })
  t.match(list(), /elements = \{ 192\.0\.2\.9 \}/)
  t.notMatch(list(), /8472|2001:db8|192\.0\.2\.2/)
  const many = Array.from({ length: 5000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`)
  const start = performance.now()
  ensureGuard(host, { ...guard, vteps: many })
  const changed = performance.now()
  ensureGuard(host, { ...guard, vteps: [...many.slice(1), '192.0.2.9'] })
  const [whole, one] = [changed - start, performance.now() - changed].map(Math.round)
  t.comment(`5,000 tunnel ends: ${whole} ms, one changed: ${one} ms`)
  t.notMatch(list(), '198.18.0.0,')
  removeGuard(host)
  t.equal(list(), '')
})

for (const underlay of ['ipv4', 'ipv6'] as const) {
  test(`strangers over ${underlay}`, { skip }, async t => {
    const lab = new Lab(t, 3, underlay)
    const [first, second, stranger] = lab.hosts as [LabHost, LabHost, LabHost]
    for (const host of lab.hosts) ensureOverlay(host.ns, host.overlay, lab.peersOf(host))
    const guard = (vteps: readonly string[]): void => ensureGuard(first.ns, { ports: [4789], vteps, tunnels: [] })
    const counted = (): number => [...output(first.ns, 'nft', ['list', 'ruleset']).matchAll(/counter packets (\d+)/g)]
      .reduce((sum, [, count]) => sum + Number(count), 0)
    const known = [second.peer.vtep]
    t.ok(reaches(stranger.pod, Lab.addresses(1)[0]), 'before')
    guard(known)
    for (const to of Lab.addresses(1)) {
      t.notOk(pings(stranger.pod, to), `a stranger does not reach ${to}`)
      t.ok(reaches(second.pod, to), `a known host reaches ${to}`)
    }
    t.ok(counted() >= 2, 'and is counted')
    t.ok(pings(stranger.ns, underlay === 'ipv4' ? '192.0.2.1' : '2001:db8::1'), 'other packets are not looked at')
    guard([...known, stranger.peer.vtep])
    t.ok(reaches(stranger.pod, Lab.addresses(1)[0]), 'known from now on')
    guard(known)
    t.notOk(pings(stranger.pod, Lab.addresses(1)[0]), 'and no longer')
  })
}

test('segments fit the way', { skip: skip || lacks('tcpdump') }, async t => {
  const lab = new Lab(t, 2, 'ipv4')
  const [first, second] = lab.hosts as [LabHost, LabHost]
  for (const host of lab.hosts) ensureOverlay(host.ns, host.overlay, lab.peersOf(host))
  const offered = async (address: string): Promise<string> => {
    const filter = 'tcp[tcpflags] & tcp-syn != 0 or ip6 proto 6'
    const capture = second.pod.run(() => spawn('tcpdump', ['-lnc1', '-ieth0', filter]))
    t.teardown(() => capture.kill())
    let seen = ''
    const done = new Promise<string>(resolve => {
      capture.stdout.on('data', data => { seen += String(data) })
      capture.on('exit', () => resolve(/mss (\d+)/.exec(seen)?.[1] ?? seen))
    })
    await new Promise(resolve => capture.stderr.on('data', data => { if (/listening/.test(String(data))) resolve(0) }))
    const script = `require('net').connect(9, '${address}').on('error', () => process.exit())`
    const client = first.pod.run(() => spawn(process.execPath, ['-e', script]))
    t.teardown(() => client.kill())
    return done
  }
  const [to4, to6] = Lab.addresses(2)
  t.equal(await offered(to4), '1460', 'the container does not know')
  ensureGuard(first.ns, { ports: [4789], vteps: [second.peer.vtep], tunnels: ['fl-vx001001'] })
  t.equal(await offered(to4), '1410')
  t.equal(await offered(to6), '1390')
})
