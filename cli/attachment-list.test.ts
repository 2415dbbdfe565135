import { test } from 'tap'
import { label } from '#net/attachment.ts'
import { attachedTable, parseLabel } from './attachment-list.ts'

test('labels are read back', async t => {
  const attachment = { network: 'n', containerId: 'c', ifName: 'eth0' }
  t.same(parseLabel(label(attachment)), attachment)
  const others = ['', 'fairlead:n/', 'fairlead:n/c', 'other:n/c/eth0', 'fairlead:n/c/eth0/x']
  for (const other of others) t.equal(parseLabel(other), undefined, other)
})

test('the table is as wide as its words', async t => {
  const list = [
    { network: 'a-long-name', containerId: 'c', ifName: 'eth0', link: 'veth1' },
    { network: 'n', containerId: 'd', ifName: 'eth1', link: 'eth1', netns: '/run/netns/d' },
  ]
  t.equal(attachedTable(list), `NETWORK      CONTAINER  INTERFACE  LINK
a-long-name  c          eth0       veth1
n            d          eth1       eth1 in /run/netns/d
`)
})
