// Names derived from attachments: readable where they can be, unique and short enough where they cannot.
import { test } from 'tap'
import { comment, networkComment, type Attachment } from './attachment.ts'

const attachment = (network: string, containerId: string, ifName = 'eth0'): Attachment =>
  ({ network, containerId, ifName })
const hex = 'f'.repeat(64)

test('nftables comments', async t => {
  t.equal(comment(attachment('net1', hex)), `fairlead:net1/${hex}/eth0`)
  t.equal(comment(attachment('net1', `default-${hex}`)), `fairlead:net1/default-${hex}/eth0`, 'a container of nerdctl')
  const networks = [1, 10, 48, 49, 100, 200].map(length => 'n'.repeat(length))
  const containers = [1, 64, 72, 101, 200].flatMap(length => ['a', 'b'].map(last => 'c'.repeat(length) + last))
  const names = ['eth0', 'fifteen-letters', 'a"quote']
  const all = networks.flatMap(network => containers.flatMap(container =>
    names.map(name => attachment(network, container, name))))
  const comments = all.map(comment)
  t.equal(new Set(comments).size, all.length, 'every attachment has its own')
  for (const [i, text] of comments.entries()) {
    t.ok(text.length <= 127, `${text.length} bytes`)
    t.notMatch(text, '"')
    t.ok(text.startsWith(networkComment(all[i]!.network)), 'begins with its network')
  }
  t.notOk(comment(attachment('net10', 'c')).startsWith(networkComment('net1')), 'no network begins with another')
})
