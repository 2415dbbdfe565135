// What runtimes write about ports, and what it comes to.
import { test } from 'tap'
import { mappingsOf, portsOf, type Port } from './ports.ts'

type Numbers = Record<'hostPort' | 'hostPortEnd' | 'containerPort', number>
type Entry = Partial<Numbers & Record<'protocol' | 'hostIP', string>>

const read = (entries: readonly Entry[], hostBinding?: string): readonly Port[] => portsOf({
  hostBinding, runtimeConfig: { portMappings: entries.map(entry => ({ hostPort: 8080, containerPort: 80, ...entry })) },
})
const containers = ['10.1.2.3', 'fd00:1::3']
const shown = (ports: readonly Port[]): string[] =>
  mappingsOf(ports, containers).map(({ protocol, hostIp = '*', hostPort, containerIp, containerPort }) =>
    `${protocol} ${hostIp} ${hostPort} ${containerIp} ${containerPort}`)

test('addresses of the host', async t => {
  const all = ['tcp * 8080 10.1.2.3 80', 'tcp * 8080 fd00:1::3 80']
  t.same(shown(read([{}])), all)
  t.same(shown(read([{}], '0.0.0.0')), all, 'Docker\'s word for both families')
  t.same(shown(read([{}], '::')), [all[1]])
  t.same(shown(read([{}], '192.0.2.1')), ['tcp 192.0.2.1 8080 10.1.2.3 80'])
  t.same(shown(read([{ hostIP: '0.0.0.0' }], '192.0.2.1')), [all[0]])
  t.same(shown(read([{ hostIP: '::' }])), [all[1]])
  t.same(shown(read([{ hostIP: '::ffff:192.0.2.1' }])), ['tcp 192.0.2.1 8080 10.1.2.3 80'])
  t.same(shown(read([{ hostIP: '2001:DB8:0::1' }])), ['tcp 2001:db8::1 8080 fd00:1::3 80'])
  t.same(mappingsOf(read([{ hostIP: '::1' }]), ['10.1.2.3']), [], 'of another family than the container\'s')
  for (const address of ['localhost', '192.0.2.1/32', '[::1]', '127.1'])
    t.throws(() => read([{ hostIP: address }]), { code: 7, message: `hostIP "${address}" is no IP address` })
})

test('protocols and ranges', async t => {
  t.same(read([{ protocol: 'UDP' }, { protocol: 'sctp' }, {}]).map(({ protocol }) => protocol), ['udp', 'sctp', 'tcp'])
  t.throws(() => read([{ protocol: 'dccp' }]), { code: 7, message: 'protocol "dccp" has no ports to publish' })
  const range = read([{ hostPort: 9000, hostPortEnd: 9002, containerPort: 65533 }])
  t.same(range.map(({ hostPort, containerPort }) => [hostPort, containerPort]),
    [[9000, 65533], [9001, 65534], [9002, 65535]])
  t.throws(() => read([{ hostPort: 9000, hostPortEnd: 9003, containerPort: 65533 }]), /needs 4 ports/)
  t.throws(() => read([{ hostPort: 9000, hostPortEnd: 8999 }]), /hostPortEnd 8999 is below hostPort 9000/)
})

test('the same port twice', async t => {
  const all = shown(read([{}]))
  t.same(shown(read([{}, {}])), all)
  t.same(shown(read([{ hostIP: '192.0.2.1' }, {}])), all, 'all addresses include the one')
  t.same(shown(read([{ hostIP: '192.0.2.1' }, { hostIP: '192.0.2.2', containerPort: 81 }])),
    ['tcp 192.0.2.1 8080 10.1.2.3 80', 'tcp 192.0.2.2 8080 10.1.2.3 81'])
  t.same(shown(read([{ hostIP: '0.0.0.0' }, { hostIP: '::', containerPort: 81 }])),
    ['tcp * 8080 10.1.2.3 80', 'tcp * 8080 fd00:1::3 81'])
  const message = /hostPort 8080\/tcp is to lead to containerPort \d+ and \d+/
  const range = { hostPort: 8079, hostPortEnd: 8081 }
  for (const other of [{ containerPort: 81 }, { containerPort: 81, hostIP: '::1' }, range])
    t.throws(() => shown(read([{}, other])), { code: 7, message })
})
