// Messages of the bus. The bytes are what `busctl` of systemd 252 has sent, but for the flag that allows a password to
// be asked for, and what dbus-daemon 1.14 and firewalld 1.3.3 have answered.
import { test } from 'tap'
import { decodeReply, encodeCall, lengthOf } from './bus-message.ts'
import { SystemBus, socketNames } from './system-bus.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

const firewalld = {
  destination: 'org.fedoraproject.FirewallD1', path: '/org/fedoraproject/FirewallD1',
  interface: 'org.fedoraproject.FirewallD1.zone', member: 'querySource',
} as const

const query = bytes(
  '6c0106011c00000002000000a000000001016f001d0000002f6f72672f6665646f726170726f6a6563742f4669726577616c6c443100' +
  '0000030173000b0000007175657279536f75726365000000000002017300210000006f72672e6665646f726170726f6a6563742e4669' +
  '726577616c6c44312e7a6f6e6500000000000000060173001c0000006f72672e6665646f726170726f6a6563742e4669726577616c6c' +
  '44310000000008016700027373000700000074727573746564000b00000031302e312e322e332f333200',
)
const hello = bytes(
  '6c01000100000000010000006d00000001016f00150000002f6f72672f667265656465736b746f702f44427573000000030173000500' +
  '000048656c6c6f00000002017300140000006f72672e667265656465736b746f702e444275730000000006017300140000006f72672e' +
  '667265656465736b746f702e4442757300000000',
)
const refused = bytes(
  '6c0301011a000000740300005d00000006017300040000003a312e320000000004017300260000006f72672e6665646f726170726f6a' +
  '6563742e4669726577616c6c44312e457863657074696f6e00000501750002000000080167000173000007017300040000003a312e30' +
  '0000000015000000494e56414c49445f5a4f4e453a206e6f776865726500',
)
const no = bytes(
  '6c020101040000006f0300002d00000006017300040000003a312e310000000005017500020000000801670001620000070173000400' +
  '00003a312e300000000000000000',
)
/** The same with yes, as a machine of the other byte order would answer. */
const yes = bytes(
  '42020101000000040000036f0000002d06017300000000043a312e310000000005017500000000020801670001620000070173000000' +
  '00043a312e300000000000000001',
)

test('calls', async t => {
  const withFlag = encodeCall(firewalld, ['trusted', '10.1.2.3/32'], 2)
  t.equal(withFlag[2], 2, 'nothing is started')
  withFlag[2] = 6
  t.same(withFlag, query)
  const name = 'org.freedesktop.DBus'
  const call = encodeCall(
    { destination: name, path: '/org/freedesktop/DBus', interface: name, member: 'Hello' }, [], 1)
  call[2] = 0
  t.same(call, hello)
})

test('answers', async t => {
  t.match(decodeReply(no), { type: 2, serial: 2, value: false })
  t.match(decodeReply(yes), { type: 2, serial: 2, value: true })
  t.match(decodeReply(refused), {
    type: 3, serial: 2, errorName: 'org.fedoraproject.FirewallD1.Exception', value: 'INVALID_ZONE: nowhere',
  })
  for (const message of [query, hello, refused, no, yes]) t.equal(lengthOf(message), message.length)
})

test('the sockets of an address list', async t => {
  t.same(socketNames('unix:path=/run/dbus/system_bus_socket'), ['/run/dbus/system_bus_socket'])
  t.same(socketNames('unix:abstract=/tmp/x,guid=12;tcp:host=localhost,port=1;unix:guid=1,path=/a%20b;unix:dir=/tmp'),
    ['\0/tmp/x', '/a b'])
  t.same(socketNames(''), [])
})

test('no bus', async t => {
  t.equal(SystemBus.open('unix:path=/nonexistent/bus;unix:abstract=fairlead-test-nobody'), undefined)
})
