// What a netlink socket does after an exchange that has come to nothing.
import { test } from 'tap'
import { lacks, ownNamespace } from '#tools/kernel.ts'
import { flags, type Request } from './message.ts'

const RTM_GETLINK = 18
const UNKNOWN = 250

/** A request with an empty struct ifinfomsg. */
const asking = (type: number, flag: number): Request =>
  ({ operation: 'test', type, flags: flag, body: out => out.append(new Uint8Array(16)) })

test('after a read that failed in the middle of a dump the next dump is complete', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  host.requestAll(Array.from({ length: 100 }, (_, i) =>
    host.link.adding({ name: `one${i}`, info: { kind: 'veth', peer: { name: `two${i}` } } })))
  // Behind the first part of a dump the refusals are too many for the receive buffer; once one of them is known,
  // nothing further is read.
  const refused = Array.from({ length: 1500 }, () => asking(UNKNOWN, 0))
  const overrun = (): void => host.rtnetlink.transaction(asking(RTM_GETLINK, flags.dump), refused, asking(UNKNOWN, 0))
  t.throws(overrun, { code: 'EOPNOTSUPP' })
  t.equal(host.link.list().length, 201)
  t.throws(overrun, { code: 'EOPNOTSUPP' })
  t.equal(host.link.get('one7').name, 'one7')
  t.throws(overrun, { code: 'EOPNOTSUPP' })
  host.requestAll([host.link.setting(0, { name: 'one7', up: true })])
  t.ok(host.link.get('one7').up)
  t.equal(host.link.list().length, 201)
})
