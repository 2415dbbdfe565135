import { test } from 'tap'
import { readRoutes } from './routes.ts'

test('routes in canonical text, what else they say as it is', async t => {
  t.strictSame(readRoutes([{ dst: '0.0.0.0/0' }, { dst: 'FD00:0::/48', gw: 'FD00::0001', mtu: 1400, table: 0 }]),
    [{ dst: '0.0.0.0/0' }, { dst: 'fd00::/48', gw: 'fd00::1', mtu: 1400, table: 0 }])
  t.same(readRoutes([{ dst: '3ffe:ffff:0:01ff::1/64' }]), [{ dst: '3ffe:ffff:0:1ff::/64' }], 'as the kernel takes it')
})

test('what the kernel would refuse', async t => {
  for (const [route, message] of [
    [{ dst: 'default' }, /^ipam\.routes\[0\]\.dst "default" is no prefix/],
    [{ dst: '10.2.0.1' }, /"10\.2\.0\.1" is no prefix/],
    [{ dst: '10.2.0.1/16' }, /^ipam\.routes\[0\]\.dst "10\.2\.0\.1\/16" has host bits/],
    [{ dst: '0.0.0.0/0', gw: '10.2.0.1/16' }, /^ipam\.routes\[0\]\.gw "10\.2\.0\.1\/16" is no IP address/],
    [{ dst: '0.0.0.0/0', gw: 'fd00::1' }, /gw fd00::1 is of another family than 0\.0\.0\.0\/0/],
    [{ dst: '::/0', gw: '10.2.0.1' }, /gw 10\.2\.0\.1 is of another family than ::\/0/],
  ] as const) t.throws(() => readRoutes([route]), { code: 7, message }, String(message))
})
