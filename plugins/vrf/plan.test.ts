import { test } from 'tap'
import type { RouteCopy } from '#netlink/route/copy.ts'
import { freeTable, movesOf } from './plan.ts'

const [MAIN, LOCAL, BOOT, KERNEL, RA] = [254, 255, 3, 2, 9]

const route = (dst: string, keys: Partial<RouteCopy> = {}): RouteCopy => ({
  family: 'ipv4', dst, table: MAIN, protocol: BOOT, devs: [7], hasGateway: false, body: new Uint8Array(), ...keys,
})

test('the first table that is free', async t => {
  t.equal(freeTable(new Set()), 1)
  t.equal(freeTable(new Set([0, 1, 2, 4])), 3)
  const many = Array.from({ length: 252 }, (_, i) => i + 1)
  t.equal(freeTable(new Set(many)), 256, 'never one of the kernel\'s')
})

test('the routes that an interface takes along', async t => {
  const moves = movesOf([
    route('0.0.0.0/0', { hasGateway: true }),
    route('10.1.0.0/24', { protocol: KERNEL }), route('2001:db8::/32', { protocol: RA }),
    route('10.2.0.0/24', { devs: [8] }),
    route('10.3.0.0/24'), route('10.4.0.0/24', { table: LOCAL }), route('10.5.0.0/24', { table: 100 }),
    route('10.6.0.0/24', { devs: [8, 7] }), route('10.7.0.0/24', { devs: [7, 8], table: 100 }),
    route('10.8.0.0/24', { devs: [7, 7] }), route('10.9.0.0/24', { devs: [] }),
  ], 7, 1000)
  t.same(moves.map(({ route: { dst }, table, shared }) => [dst, table, shared]), [
    ['10.3.0.0/24', 1000, false], ['10.4.0.0/24', 1000, false], ['10.5.0.0/24', 100, false],
    ['10.6.0.0/24', 1000, true], ['10.8.0.0/24', 1000, false], ['0.0.0.0/0', 1000, false],
  ], 'what gateways need comes first')
})
