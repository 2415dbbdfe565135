// Sockets that wait, with Node's own as the ones to be found.
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { test } from 'tap'
import { anotherNamespace, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { errnoOf } from '#sys/errno.ts'
import { waiting } from './sock-diag.ts'
import { protocol, Socket } from './socket.ts'

/** Reason to skip: the kernel does not tell. */
const lacksDiagnosis = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  using socket = new Socket(protocol.diagnosis)
  try {
    waiting(socket, 'ipv4', 'tcp')
    waiting(socket, 'ipv4', 'udp')
    return false
  } catch (error) {
    return `this kernel does not list sockets: ${errnoOf(error)}`
  }
}

test('sockets that wait', { skip: lacks('ss') || lacksDiagnosis() }, async t => {
  const host = ownNamespace(t)
  using socket = new Socket(protocol.diagnosis)
  const tcp4 = createServer().listen(8080, '127.0.0.1')
  const tcp6 = createServer().listen({ port: 8081, host: '::', ipv6Only: true })
  const dual = createServer().listen(8082, '::')
  await Promise.all([tcp4, tcp6, dual].map(server => once(server, 'listening')))
  const udp4 = createSocket('udp4').bind(5353, '0.0.0.0')
  const udp6 = createSocket('udp6').bind(5354, '::')
  await Promise.all([udp4, udp6].map(server => once(server, 'listening')))
  const connected = createSocket('udp4')
  connected.connect(5353, '127.0.0.1')
  await once(connected, 'connect')
  t.teardown(() => {
    for (const server of [tcp4, tcp6, dual]) server.close()
    for (const server of [udp4, udp6, connected]) server.close()
  })

  const seen = (family: 'ipv4' | 'ipv6', protocol: 'tcp' | 'udp'): string[] => waiting(socket, family, protocol)
    .map(({ address, port, onlyIpv6 }) => `${address} ${port}${onlyIpv6 ? ' only' : ''}`).sort()
  t.same(seen('ipv4', 'tcp'), ['127.0.0.1 8080'])
  t.same(seen('ipv6', 'tcp'), [':: 8081 only', ':: 8082'])
  t.same(seen('ipv4', 'udp'), ['0.0.0.0 5353'], 'without what is connected')
  t.same(seen('ipv6', 'udp'), [':: 5354'])

  const [found] = waiting(socket, 'ipv4', 'tcp')
  const { fd } = (tcp4 as unknown as { _handle: { fd: number } })._handle
  t.equal(found?.inode, statSync(`/proc/self/fd/${fd}`).ino)
  t.match(output(host, 'ss', ['-lnte']), `ino:${found?.inode} `)

  using elsewhere = anotherNamespace(t).run(() => new Socket(protocol.diagnosis))
  t.same(waiting(elsewhere, 'ipv4', 'tcp'), [])
})
