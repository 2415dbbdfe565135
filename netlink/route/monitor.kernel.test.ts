// Announcements of the kernel, provoked with ip(8).
import { test } from 'tap'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import { Monitor, type Announcement } from './monitor.ts'

test('what others do is noticed', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  using monitor = new Monitor()
  t.same([...monitor.news()], [])
  const after = (...words: string[]): Announcement[] => {
    output(host, 'ip', words)
    return [...monitor.news()]
  }
  t.ok(after('link', 'add', 'a0', 'type', 'veth', 'peer', 'name', 'b0').some(({ about }) => about === 'link'))
  const { index } = host.link.get('a0')
  t.has(after('address', 'add', '10.1.2.3/24', 'dev', 'a0'), [{ about: 'addresses', index }])
  t.has(after('route', 'add', 'unreachable', '10.9.0.0/16', 'proto', '203'),
    [{ about: 'route', protocol: 203, removed: false }])
  t.has(after('route', 'flush', 'proto', '203'), [{ about: 'route', protocol: 203, removed: true }])
  output(host, 'ip', ['link', 'set', 'a0', 'up'])
  after('neigh', 'add', '10.1.2.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'a0')
  t.ok(after('neigh', 'del', '10.1.2.9', 'dev', 'a0').some(news => news.about === 'neighbour' && news.index === index))
  t.ok(after('link', 'del', 'a0').some(news => news.about === 'link' && news.index === index))
  t.same([...monitor.news()], [])
  const batch = Array.from({ length: 3000 }, (_, i) => `route add unreachable 10.${i >> 8}.${i & 255}.0/24 proto 203`)
  output(host, 'ip', ['-batch', '-'], batch.join('\n'))
  const news = [...monitor.news()]
  t.ok(news.length > 100)
  t.ok(news.length >= 3000 || news.some(({ about }) => about === 'overrun'), `${news.length} of 3000`)
})
