// Whose end on the host a container's link leads to, when the container has NET_ADMIN and says what it likes.
import { test } from 'tap'
import { anotherNamespace, connect, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { label } from './attachment.ts'
import { findOwnLink, hostEnd, isUnclaimedPair } from './veth.ts'

test('only the host\'s end says whose it is', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const [victim, evil] = [anotherNamespace(t), anotherNamespace(t)]
  connect({ ns: host, name: 'veth1', addresses: [] }, { ns: evil, name: 'eth0', addresses: [] })
  connect({ ns: host, name: 'veth0', addresses: [] }, { ns: victim, name: 'eth0', addresses: [] })
  const ends = (): (string | undefined)[] =>
    [victim, evil].map(pod => hostEnd(host, pod, pod.link.find('eth0'))?.name)
  t.same(ends(), ['veth0', 'veth1'])
  const { index, parent } = victim.link.get('eth0')
  output(evil, 'ip', ['link', 'del', 'eth0'])
  output(evil, 'ip', `link add eth0 index ${index} type veth peer name x index ${parent}`.split(' '))
  t.same(ends(), ['veth0', undefined])
})

test('labels of either end', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const pod = anotherNamespace(t)
  const own = { network: 'one', containerId: 'c1', ifName: 'eth0' }
  const other = { ...own, network: 'two' }
  connect({ ns: host, name: 'veth0', addresses: [] }, { ns: pod, name: 'eth0', addresses: [] })
  const owners = (): boolean[] => [own, other].map(each => findOwnLink(host, pod, each) !== undefined)
  t.same(owners(), [true, true], 'the Go suite labels nothing')
  pod.link.set(pod.link.get('eth0').index, { alias: label(own) })
  t.same(owners(), [true, true], 'the host\'s end counts')
  host.link.set(host.link.get('veth0').index, { alias: label(other) })
  t.same(owners(), [false, true])
  t.same([own, other].map(each => isUnclaimedPair(host, pod, each)), [false, true])
})

test('a pair of the host\'s own, for CNI_NETNS_OVERRIDE', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const evil = anotherNamespace(t)
  output(host, 'ip', 'link add veth0 index 20 type veth peer name eth0 index 21'.split(' '))
  output(evil, 'ip', 'link add x index 20 type veth peer name eth0 index 21'.split(' '))
  t.equal(hostEnd(host, host, host.link.get('eth0'))?.name, 'veth0')
  t.equal(hostEnd(host, evil, evil.link.get('eth0')), undefined)
})
