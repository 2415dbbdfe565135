// What of a peer's claims is believed.
import { test } from 'tap'
import { credible } from './credible-peers.ts'

const own = {
  vtep: '192.0.2.1', mac: '02:00:00:00:00:01',
  ranges: [{ subnet: '10.1.0.0/16', blockLength: 24 }, { subnet: 'fd00:1::/48', blockLength: 64 }],
}
const prefixes = ['10.1.2.0/24', 'fd00:1:0:2::/64', '10.1.9.9/32']
const peer = { vtep: '192.0.2.2', mac: '02:00:00:00:00:02', prefixes }

void test('peers', async t => {
  t.same(credible([peer], own), { peers: [peer], doubts: [] })
  for (const [facts, doubt] of [
    [{ vtep: '2001:db8::2' }, /is not of the family of 192\.0\.2\.1/], [{ vtep: '192.0.2.1' }, /this one's address/],
    [{ vtep: '10.1.7.7' }, /10\.1\.7\.7 is an address of the network itself/],
    [{ mac: own.mac }, /own hardware address/],
  ] as const) {
    const { peers, doubts } = credible([{ ...peer, ...facts }, peer], own)
    t.same(peers, [peer])
    t.match(doubts, [doubt])
  }
  for (const prefix of ['0.0.0.0/0', '::/0', '192.0.2.0/24', '10.1.0.0/16', '10.1.2.0/25', '10.2.0.1/32', 'fd00:1::/48',
    'fd00:2::1/128', '10.1.2.0', 'x']) {
    t.same(credible([{ ...peer, prefixes: [prefix, '10.1.2.0/24'] }], own), {
      peers: [{ ...peer, prefixes: ['10.1.2.0/24'] }],
      doubts: [`host at 192.0.2.2: ${prefix} is nothing that this network is cut into`],
    })
    t.same(credible([{ ...peer, prefixes: [prefix] }], own).peers, [])
  }
})
