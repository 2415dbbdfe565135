// Conditions in nft's words, against the matches that nft makes of them (netlink/nftables/match.test.ts).
import { test } from 'tap'
import { iifname, ip, ip6 } from '#netlink/nftables/match.ts'
import { parseConditions } from './conditions.ts'

test('what is understood', async t => {
  t.same(parseConditions('ipv4', []), [])
  t.same(parseConditions('ipv4', ['ip saddr 10.0.0.0/8']), ip.saddr.in('10.0.0.0/8'))
  t.same(parseConditions('ipv4', ['ip', 'daddr', '!=', '192.0.2.1']), ip.daddr.notIn('192.0.2.1'))
  t.same(parseConditions('ipv4', ['ip saddr == 10.0.0.0/8 iifname "eth0"']),
    [...ip.saddr.in('10.0.0.0/8'), ...iifname.is('eth0')])
  t.same(parseConditions('ipv6', ['meta iifname', '!= eth0.5', 'ip6 saddr fd00::/8']),
    [...iifname.isNot('eth0.5'), ...ip6.saddr.in('fd00::/8')])
})

test('what is not', async t => {
  for (const [tokens, message] of [
    [['tcp sport 80'], /"tcp sport" is not understood: write/],
    [['ip'], /"ip" is not understood/],
    [['ip saddr'], /"ip saddr" lacks its value/],
    [['ip saddr !='], /"ip saddr" lacks its value/],
    [['ip saddr localhost'], /"ip saddr localhost" says nothing about ipv4/],
    [['ip saddr 10.0.0.0/33'], /says nothing about ipv4/],
    [['ip saddr { 10.0.0.1, 10.0.0.2 }'], /says nothing about ipv4/],
    [['ip6 saddr fd00::/8'], /"ip6 saddr fd00::\/8" says nothing about ipv4/],
    [['iifname eth*:'], /is no link's name/],
    [['iifname "a-name-of-sixteen"'], /is no link's name/],
  ] as const) t.throws(() => parseConditions('ipv4', tokens), { name: 'RangeError', message })
})
