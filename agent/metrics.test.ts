// The text for Prometheus, and the health endpoint.
import { test } from 'tap'
import type { AddressInfo } from 'node:net'
import { exposition, serveMetrics, type Health } from './metrics.ts'

void test('metrics and health', async t => {
  const metrics = [
    { name: 'up', kind: 'gauge', help: 'Whether.', value: 1 },
    { name: 'peers', kind: 'gauge', help: 'How many.', value: 2, labels: { network: 'a"b' } },
    { name: 'peers', kind: 'gauge', help: 'How many.', value: 3, labels: { network: 'c' } },
  ] as const
  const text = '# HELP fairlead_overlay_up Whether.\n# TYPE fairlead_overlay_up gauge\nfairlead_overlay_up 1\n' +
    '# HELP fairlead_overlay_peers How many.\n# TYPE fairlead_overlay_peers gauge\n' +
    'fairlead_overlay_peers{network="a\\"b"} 2\nfairlead_overlay_peers{network="c"} 3\n'
  t.equal(exposition(metrics), text)
  const health: { obstacle: string | undefined; metrics: Health['metrics'] } = { obstacle: undefined, metrics }
  const server = await serveMetrics('127.0.0.1:0', () => health)
  t.teardown(() => { server.close() })
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)
    return [answer.status, await answer.text()]
  }
  t.same(await ask('/metrics'), [200, text])
  t.same(await ask('/healthz'), [200, 'ok\n'])
  health.obstacle = 'no store'
  t.same(await ask('/healthz'), [503, 'no store\n'])
  t.match(await ask('/'), [404, /metrics/])
})
