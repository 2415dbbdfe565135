// sbr: source based routing. What an interface's addresses send leaves by that interface, however many there are.
import { broken, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { create } from '#net/creation.ts'
import { whileHostIsLocked } from '#net/host-lock.ts'
import type { Namespace } from '#net/namespace.ts'
import type { Link } from '#netlink/route/link.ts'
import { Rules } from '#netlink/route/rule.ts'
import { tolerate } from '#sys/errno.ts'
import { validate } from '#build/validators/sbr.js'
import { schema } from './config.ts'
import { alone, gatewaysOf, MAIN, ownIps, planFor, type Plan } from './plan.ts'

const rulesOf = (pod: Namespace): Rules => new Rules(pod.rtnetlink)

const requireLink = (pod: Namespace, ifName: string): Link => {
  const link = pod.link.find(ifName)
  if (link) return link
  throw new CniError('invalidConfig', `${ifName} does not exist in ${pod.path}`, 'put sbr behind its plugin')
}

const takeBack = (pod: Namespace, { rules, added, removed }: Plan): void => {
  for (const rule of rules) tolerate(['ENOENT'], () => rulesOf(pod).del(rule))
  for (const route of removed) tolerate(['EEXIST'], () => pod.route.add(route))
  for (const route of added) tolerate(['ESRCH', 'ENODEV'], () => pod.route.del(route))
}

const apply = (pod: Namespace, { rules, added, removed }: Plan): void => {
  for (const route of added) tolerate(['EEXIST'], () => pod.route.add(route))
  for (const rule of rules) tolerate(['EEXIST'], () => rulesOf(pod).add(rule))
  for (const route of removed) tolerate(['ESRCH'], () => pod.route.del(route))
}

export const sbr = driver({
  name: 'sbr',
  kind: 'chained',
  schema,
  validate,

  add({ config, ifName, netns, pod, previous, undo }) {
    gatewaysOf(config)
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'sbr follows another plugin')
    const ips = ownIps(previous, ifName, netns)
    if (ips.length === 0) return previous
    const { index: dev } = requireLink(pod, ifName)
    // Two interfaces of a container must not choose the same table.
    pod.run(() => whileHostIsLocked('exclusive', () => {
      const plan = planFor(config, { ips, dev, routes: pod.route.list(), rules: rulesOf(pod).list() })
      create(undo, `routing of ${ifName}`, () => takeBack(pod, plan), () => apply(pod, plan))
    }))
    return previous
  },

  check({ config, ifName, netns, pod, previous }) {
    const result = requirePrevious(previous)
    const { index: dev } = requireLink(pod, ifName)
    const [rules, routes] = [rulesOf(pod).list(), pod.route.list()]
    for (const { address, gateway } of ownIps(result, ifName, netns)) {
      const rule = rules.find(({ from, table }) =>
        from === alone(address) && (config.table === undefined || table === config.table))
      if (rule === undefined) throw broken(`${ifName} has lost the rule from ${alone(address)}`)
      if (config.table !== undefined) continue
      const own = routes.filter(route => route.dev === dev && route.table === rule.table)
      if (own.length === 0) throw broken(`table ${rule.table} of ${alone(address)} has lost its routes`)
      if (gateway && !own.some(({ dst }) => dst.endsWith('/0'))) {
        throw broken(`table ${rule.table} of ${alone(address)} has lost its default route`)
      }
    }
  },

  del({ config, ifName, netns, pod, previous, attempt }) {
    if (!pod) return
    attempt(() => {
      const link = pod.link.find(ifName)
      const present = link ? pod.addr.list(link.index).map(({ address }) => address) : []
      const known = previous ? ownIps(previous, ifName, netns).map(({ address }) => address) : []
      const from = new Set([...present, ...known].map(alone))
      for (const rule of rulesOf(pod).list()) {
        if (rule.from === undefined || rule.table === MAIN || !from.has(rule.from)) continue
        if (config.table !== undefined && rule.table !== config.table) continue
        tolerate(['ENOENT'], () => rulesOf(pod).del({ from: rule.from!, table: rule.table }))
      }
    })
  },

  status({ config }) { gatewaysOf(config) },
  gc() {},
})
