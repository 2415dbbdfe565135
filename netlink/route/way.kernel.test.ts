// Ways to addresses, with ip route get as witness.
import { test } from 'tap'
import { anotherNamespace, connect, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { refuseLoopback, takeInLoopback, takesInLoopback } from './loopback.ts'
import { linkTowards } from './way.ts'

test('the link towards an address', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const other = anotherNamespace(t)
  connect(
    { ns: host, name: 'near0', addresses: ['10.1.2.1/24', 'fd00:1::1/64'] },
    { ns: other, name: 'far0', addresses: [] },
  )
  const { index } = host.link.get('near0')
  for (const address of ['10.1.2.3', 'fd00:1::3']) {
    t.equal(linkTowards(host.rtnetlink, address), index, address)
    t.match(output(host, 'ip', ['route', 'get', address]), 'dev near0')
  }
  t.equal(linkTowards(host.rtnetlink, '127.0.0.1'), host.link.get('lo').index)
  for (const address of ['192.0.2.1', '2001:db8::1']) t.equal(linkTowards(host.rtnetlink, address), undefined, address)
  output(host, 'ip', ['route', 'add', 'prohibit', '192.0.2.1'])
  t.equal(linkTowards(host.rtnetlink, '192.0.2.1'), undefined)
})

test('the loopback address by another link', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const other = anotherNamespace(t)
  connect({ ns: host, name: 'near0', addresses: ['fd00:1::1/64'] }, { ns: other, name: 'far0', addresses: [] })
  const { index } = host.link.get('near0')
  const shown = (): string => output(host, 'ip', ['-6', 'route', 'show', 'table', 'local', '::1'])
  const before = shown()
  t.equal(takesInLoopback(host.rtnetlink, index), false)
  takeInLoopback(host.rtnetlink, index)
  takeInLoopback(host.rtnetlink, index)
  t.match(shown(), 'local ::1 dev near0 proto static metric 2048')
  t.equal(takesInLoopback(host.rtnetlink, index), true)
  t.match(output(host, 'ip', ['-6', 'route', 'get', '::1']), 'dev lo')
  connect({ ns: host, name: 'near1', addresses: [] }, { ns: other, name: 'far1', addresses: [] })
  const second = host.link.get('near1').index
  takeInLoopback(host.rtnetlink, second)
  t.ok([index, second].every(dev => takesInLoopback(host.rtnetlink, dev)), 'each link by itself')
  refuseLoopback(host.rtnetlink, second)
  t.same([index, second].map(dev => takesInLoopback(host.rtnetlink, dev)), [true, false])
  refuseLoopback(host.rtnetlink, index)
  refuseLoopback(host.rtnetlink, index)
  refuseLoopback(host.rtnetlink, 9999)
  t.equal(shown(), before)
})
