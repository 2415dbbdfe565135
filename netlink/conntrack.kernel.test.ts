// Connection tracking, with the conntrack program as witness.
import { createSocket } from 'node:dgram'
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import { errnoOf } from '#sys/errno.ts'
import { list, remove } from './conntrack.ts'
import { ip } from './nftables/match.ts'
import { masquerade } from './nftables/statement.ts'
import { commit } from './nftables/transaction.ts'
import { protocol, Socket } from './socket.ts'

const UDP = 17

/** Reason to skip: connections cannot be listed here. */
const lacksTracking = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  using socket = new Socket(protocol.netfilter)
  try {
    list(socket, { family: 'ipv4', protocol: UDP })
    return false
  } catch (error) {
    return `this kernel does not list connections: ${errnoOf(error)}`
  }
}

test('connections', { skip: lacks('conntrack') || lacksTracking() }, async t => {
  const host = ownNamespace(t)
  // The kernel tracks connections once a rule needs it.
  commit(host.netfilter, tx => {
    tx.table('inet', 't').add().chain('c').add({ type: 'nat', hook: 'postrouting', priority: 'srcnat' })
      .rule(ip.daddr.is('203.0.113.1'), masquerade)
  })
  const send = async (type: 'udp4' | 'udp6', address: string, port: number): Promise<void> => {
    const socket = createSocket(type)
    // The kernel routes to a new IPv6 address a moment after it has acknowledged it.
    for (let failed: Error | null = new Error('not sent'); failed;) {
      failed = await new Promise(done => { socket.send('x', port, address, error => done(error)) })
      if (failed) await setTimeout(5)
    }
    socket.close()
  }
  for (const address of ['127.0.0.1', '127.0.0.2']) for (const port of [53, 54]) await send('udp4', address, port)
  host.addr.add({ index: host.link.get('lo').index, address: 'fd00::9/128', noDad: true })
  for (const address of ['::1', 'fd00::9']) await send('udp6', address, 53)
  const seen = (family = 'ipv4'): string[] =>
    [...output(host, 'conntrack', ['-L', '-f', family, '-p', 'udp']).matchAll(/^.*? dst=(\S+) sport=\d+ dport=(\d+)/gm)]
      .map(([, address, port]) => `${address} ${port}`).sort()
  t.same(seen(), ['127.0.0.1 53', '127.0.0.1 54', '127.0.0.2 53', '127.0.0.2 54'])
  t.same(list(host.netfilter, { family: 'ipv4', protocol: UDP })
    .map(({ destination, destinationPort }) => `${destination} ${destinationPort}`).sort(), seen())
  t.same(list(host.netfilter, { family: 'ipv6', destination: '::1' }),
    [{ protocol: UDP, source: '::1', destination: '::1', destinationPort: 53, replySource: '::1' }])
  t.equal(list(host.netfilter, { family: 'ipv4', replySource: '127.0.0.2', protocol: UDP }).length, 2)

  t.equal(remove(host.netfilter, { family: 'ipv4', protocol: UDP, destinationPort: 99 }), 0)
  t.equal(remove(host.netfilter, { family: 'ipv4', protocol: UDP, destinationPort: 53, destination: '127.0.0.2' }), 1)
  t.same(seen(), ['127.0.0.1 53', '127.0.0.1 54', '127.0.0.2 54'])
  t.equal(remove(host.netfilter, { family: 'ipv4', protocol: UDP, destinationPort: 54 }), 2)
  t.same(seen(), ['127.0.0.1 53'])
  t.same(seen('ipv6'), ['::1 53', 'fd00::9 53'], 'the other family is another matter')
  t.equal(remove(host.netfilter, { family: 'ipv4', source: '127.0.0.1' }), 1)
  t.equal(remove(host.netfilter, { family: 'ipv6', replySource: '::1' }), 1)
  t.same(seen('ipv6'), ['fd00::9 53'])
  t.equal(remove(host.netfilter, { family: 'ipv6', destination: 'fd00::9', protocol: UDP }), 1)
  t.same([...seen(), ...seen('ipv6')], [])
})
