// sbr: source based routing. What an interface's addresses send leaves by that interface, however many there are.
import { requireLink } from '#cni/chained.ts'
import { broken, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { invalidConfig } from '#cni/errors.ts'
import type { Result } from '#cni/result.ts'
import { create } from '#net/creation.ts'
import { whileHostIsLocked } from '#net/host-lock.ts'
import type { Namespace } from '#net/namespace.ts'
import { runAll } from '#net/steps.ts'
import { findOwnLink } from '#net/veth.ts'
import { familyOf, formatIp, parseIp } from '#netlink/ip.ts'
import { Rules, type Rule, type RuleInfo } from '#netlink/route/rule.ts'
import { tolerate } from '#sys/errno.ts'
import { validate } from '#build/validators/sbr.js'
import { schema } from './config.ts'
import {
  alone, earlierRule, gatewaysOf, MAIN, ownIps, planFor, refuseReserved, wayBack, type Plan,
} from './plan.ts'

const rulesOf = (pod: Namespace): Rules => new Rules(pod.rtnetlink)

// A hint and the route whose place it takes are one to the kernel when it deletes, so the hint has to go first.
const takeBack = (pod: Namespace, { rules, added, removed }: Plan): void => runAll([
  ...rules.map(rule => () => { tolerate(['ENOENT'], () => rulesOf(pod).del(rule)) }),
  ...added.map(route => () => { tolerate(['ESRCH', 'ENODEV'], () => pod.route.del(route)) }),
  ...removed.map(route => () => { tolerate(['EEXIST'], () => pod.route.add(route)) }),
])

/** Rules come first, so that DEL after a death finds the tables; one to an empty table changes nothing. */
const apply = (pod: Namespace, { rules, added, removed }: Plan): void => {
  for (const rule of rules) tolerate(['EEXIST'], () => rulesOf(pod).add(rule))
  for (const route of added) tolerate(['EEXIST'], () => pod.route.add(route))
  for (const route of removed) tolerate(['ESRCH'], () => pod.route.del(route))
}

/** What the main table had of a link comes back; its default routes as far as the chain has spoken of them. */
const moveBack = (pod: Namespace, dev: number, rules: readonly Rule[], previous: Result | undefined): void => {
  const { added, removed } = wayBack({ dev, rules, routes: pod.route.list(), stated: previous?.routes ?? [] })
  runAll([
    ...removed.map(route => () => { tolerate(['ESRCH'], () => pod.route.del(route)) }),
    ...added.map(route => () => { tolerate(['EEXIST'], () => pod.route.add(route)) }),
  ])
}

const canonical = (address = ''): string | undefined => {
  const bytes = parseIp(address)
  return bytes && formatIp(bytes)
}

/** The tables of a second ADD would lack what the first has moved. @throws CniError 7 */
const refuseEarlier = (rule: RuleInfo | undefined, ifName: string): void => {
  if (rule === undefined) return
  throw invalidConfig(
    `${ifName} is routed by source already: from ${rule.from} lookup ${rule.table}`, 'DEL comes before another ADD',
  )
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
    const { index: dev } = requireLink(pod, ifName, 'sbr')
    // Two interfaces of a container must not choose the same table.
    pod.run(() => whileHostIsLocked('exclusive', () => {
      const situation = { ips, dev, routes: pod.route.list(), rules: rulesOf(pod).list() }
      if (config.table === undefined) refuseEarlier(earlierRule(situation), ifName)
      const plan = planFor(config, situation)
      create(undo, `routing of ${ifName}`, () => takeBack(pod, plan), () => apply(pod, plan))
    }))
    return previous
  },

  check({ config, ifName, netns, pod, previous }) {
    const result = requirePrevious(previous)
    const link = pod.link.find(ifName)
    if (link === undefined) throw broken(`${ifName} is missing in ${pod.path}`)
    const [rules, routes, configured] = [rulesOf(pod).list(), pod.route.list(), gatewaysOf(config)]
    for (const { address, gateway } of ownIps(result, ifName, netns)) {
      const rule = rules.find(({ from, table }) =>
        from === alone(address) && (config.table === undefined || table === config.table))
      if (rule === undefined) throw broken(`${ifName} has lost the rule from ${alone(address)}`)
      if (config.table !== undefined) continue
      const own = routes.filter(route => route.dev === link.index && route.table === rule.table)
      if (own.length === 0) throw broken(`table ${rule.table} of ${alone(address)} has lost its routes`)
      const via = configured[familyOf(address)] ?? canonical(gateway)
      if (via && !own.some(route => route.dst.endsWith('/0') && route.via === via)) {
        throw broken(`table ${rule.table} of ${alone(address)} has lost its default route via ${via}`)
      }
    }
  },

  del({ config, attachment, ifName, host, netns, pod, previous, attempt }) {
    if (!pod) return
    attempt(() => {
      const link = findOwnLink(host, pod, attachment)
      const present = link ? pod.addr.list(link.index).map(({ address }) => address) : []
      const known = previous ? ownIps(previous, ifName, netns).map(({ address }) => address) : []
      const from = new Set([...present, ...known].map(alone))
      const rules = rulesOf(pod).list().flatMap(({ from: source, table }) =>
        source !== undefined && table !== MAIN && from.has(source) && (config.table ?? table) === table
          ? { from: source, table }
          : [])
      if (link && config.table === undefined) attempt(() => moveBack(pod, link.index, rules, previous))
      for (const rule of rules) attempt(() => { tolerate(['ENOENT'], () => rulesOf(pod).del(rule)) })
    })
  },

  status({ config }) {
    refuseReserved(config)
    gatewaysOf(config)
  },
  gc() {},
})
