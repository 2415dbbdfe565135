// Which limits follow from which keys; the numbers are those that runtimes send.
import { test } from 'tap'
import type { Config } from './config.ts'
import { limitsOf, passing } from './plan.ts'

test('what runtimes send', t => {
  const crio = limitsOf({
    runtimeConfig: {
      bandwidth: {
        ingressRate: 10_000_000, ingressBurst: 34_359_738_359, egressRate: 10_000_000, egressBurst: 34_359_738_359,
      },
    },
  })
  t.same(crio.ingress, { rate: 1_250_000, burst: 4_294_967_294, limit: 4_294_967_295 }, 'CRI-O: as much as can be')
  t.same(crio.egress, crio.ingress)
  const containerd = limitsOf({
    runtimeConfig: {
      bandwidth: { ingressRate: 1_000_000, ingressBurst: 4_294_967_295, egressRate: 0, egressBurst: 0 },
    },
  })
  t.same(containerd, { ingress: { rate: 125_000, burst: 536_870_911, limit: 536_874_036 }, egress: undefined })
  t.same(limitsOf({}), { ingress: undefined, egress: undefined })
  t.end()
})

test('the administrator\'s limits go before the runtime\'s', t => {
  const bandwidth = { ingressRate: 8000, ingressBurst: 80_000 }
  const { ingress, egress } = limitsOf({ egressRate: 16_000, egressBurst: 160_000, runtimeConfig: { bandwidth } })
  t.equal(ingress, undefined)
  t.same(egress, { rate: 2000, burst: 20_000, limit: 20_050 })
  t.end()
})

test('what cannot be', t => {
  const refused: [Config, RegExp][] = [
    [{ ingressRate: 8000 }, /ingressRate 8000 without ingressBurst/],
    [{ egressBurst: 8000 }, /egressBurst 8000 without egressRate/],
    [{ ingressRate: 8, ingressBurst: 34_359_738_360 }, /ingressBurst 34359738360 is too large/],
    [{ ingressRate: 1e20, ingressBurst: 8 }, /ingressRate 100000000000000000000 is too large/],
    [{ runtimeConfig: { bandwidth: { egressRate: 1 } } }, /runtimeConfig\.bandwidth\.egressRate/],
  ]
  for (const [config, message] of refused) t.throws(() => limitsOf(config), { code: 7, message }, message.source)
  t.end()
})

test('a burst below a packet', t => {
  t.same(passing({ rate: 1000, burst: 1514, limit: 1539 }, 1500), { rate: 1000, burst: 1514, limit: 1539 })
  t.same(passing({ rate: 1000, burst: 1, limit: 26 }, 1500), { rate: 1000, burst: 3028, limit: 3053 })
  t.end()
})
