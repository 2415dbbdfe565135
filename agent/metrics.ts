// What the agent tells Prometheus, and whether it is well: https://prometheus.io/docs/instrumenting/exposition_formats/
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'

/** One number with its name, without the prefix of ours; `labels` in order. */
export interface Metric {
  readonly name: string
  readonly kind: 'gauge' | 'counter'
  readonly help: string
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
}

export interface Health {
  /** Why the agent cannot do what it is for; undefined when all is well. */
  readonly obstacle: string | undefined
  readonly metrics: readonly Metric[]
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

const sample = ({ name, value, labels = {} }: Metric): string => {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`)
  return `fairlead_overlay_${name}${pairs.length > 0 ? `{${pairs.join()}}` : ''} ${value}\n`
}

/** The text that is served; metrics of one name have to follow each other. */
export const exposition = (metrics: readonly Metric[]): string => metrics.map((metric, i) => {
  const isFirst = metrics[i - 1]?.name !== metric.name
  const name = `fairlead_overlay_${metric.name}`
  const head = `# HELP ${name} ${metric.help}\n# TYPE ${name} ${metric.kind}\n`
  return (isFirst ? head : '') + sample(metric)
}).join('')

/**
 * Serves `/metrics` and `/healthz`, which answers 200 or 503.
 * @param where `127.0.0.1:9477` or `[::1]:9477`
 */
export const serveMetrics = async (where: string, look: () => Health): Promise<Server> => {
  const at = where.lastIndexOf(':')
  const address = where.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const server = createServer((request, response) => {
    const { obstacle, metrics } = look()
    const text = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }
    if (request.url === '/metrics') response.writeHead(200, text).end(exposition(metrics))
    else if (request.url === '/healthz') response.writeHead(obstacle ? 503 : 200, text).end(`${obstacle ?? 'ok'}\n`)
    else response.writeHead(404, text).end('see /metrics and /healthz\n')
  })
  server.listen(Number(where.slice(at + 1)), address)
  await once(server, 'listening')
  return server
}
