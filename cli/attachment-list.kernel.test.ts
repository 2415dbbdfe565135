// Labelled links, and interfaces that are there already, in namespaces of the test's own.
import { test } from 'tap'
import { anotherNamespace, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { listAttached } from './attachment-list.ts'
import { isTaken } from './taken.ts'

const skip = lacks('ip')

test('labelled links of the host are listed', { skip }, async t => {
  const host = ownNamespace(t)
  output(host, 'ip', ['link', 'add', 'veth1', 'type', 'veth', 'peer', 'name', 'veth2'])
  output(host, 'ip', ['link', 'set', 'veth1', 'alias', 'fairlead:n/c/eth0'])
  output(host, 'ip', ['link', 'set', 'veth2', 'alias', 'fairlead:n/'])
  const onHost = listAttached().filter(({ netns }) => netns === undefined)
  t.same(onHost, [{ network: 'n', containerId: 'c', ifName: 'eth0', link: 'veth1' }])
})

test('an interface that is there is taken', { skip }, async t => {
  const { path } = anotherNamespace(t)
  t.equal(isTaken({ netns: path, ifName: 'lo' }), true)
  t.equal(isTaken({ netns: path, ifName: 'eth0' }), false)
  t.equal(isTaken({ netns: '/no/such/namespace', ifName: 'lo' }), false)
  t.equal(isTaken({ netns: '/etc/passwd', ifName: 'lo' }), false)
})
