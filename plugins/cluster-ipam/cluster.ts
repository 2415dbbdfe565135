// cluster: addresses of a segment that hosts share, each unique over all of them. This host hands out those of its
// blocks, as host-local does; the agent gets it blocks.
import { hostLocalConfig, recordsOnly } from '#cni/cluster/addresses.ts'
import { requireAgent, requireMore, warnOfLoss } from '#cni/cluster/agent.ts'
import { lease, lacks } from '#cni/cluster/lease.ts'
import { current, whyOutOfService } from '#cni/cluster/part.ts'
import { isStale, release } from '#cni/cluster/release.ts'
import { driver } from '#cni/driver.ts'
import { CniError, codes } from '#cni/errors.ts'
import { isObject, lookUp, type Json } from '#cni/json.ts'
import { requestedIps } from '#cni/requested-ips.ts'
import { validate } from '#build/validators/cluster-ipam.js'
import { schema } from './config.ts'
import { planOf } from './plan.ts'

const { agent, agentConfig, dataDir, runDir } = schema.properties.ipam.properties

/** Read from what was sent: DEL has to find the records also when another key of `ipam` is wrong. */
const placeIn = (raw: Json) => {
  const ipam = lookUp(raw, 'ipam')
  const text = (key: string, standard: string): string => {
    const value = isObject(ipam) ? lookUp(ipam, key) : undefined
    return typeof value === 'string' && value !== '' ? value : standard
  }
  return {
    agent: text('agent', agent.default) === 'none' ? 'none' : 'resident',
    agentConfig: text('agentConfig', agentConfig.default), runDir: text('runDir', runDir.default),
    dataDir: text('dataDir', dataDir.default),
  } as const
}

export const cluster = driver({
  name: 'cluster',
  kind: 'ipam',
  schema,
  validate,
  args: ['IP'],

  add(call) {
    const { config: { ipam }, config, args } = call
    const plan = planOf(call)
    const { leased } = lease(call, plan, {
      dataDir: ipam.dataDir, exclude: plan.exclude, requests: requestedIps(config, args),
      more: { routes: ipam.routes, resolvConf: ipam.resolvConf },
    })
    return { ...leased, dns: { ...leased.dns, ...ipam.dns } }
  },

  check(call) {
    const { ranges } = planOf(call)
    const sets = ranges.map(({ subnet, rangeStart, rangeEnd, gateway }) => [{ subnet, rangeStart, rangeEnd, gateway }])
    call.delegate({ type: 'host-local', dataDir: call.config.ipam.dataDir, ranges: sets }).check()
  },

  del(call) {
    const { raw, containerId, ifName, attempt } = call
    const place = placeIn(raw)
    attempt(() => call.delegate(recordsOnly(place.dataDir)).del())
    release(call, place, ({ container, ifname }) => container === containerId && ifname === ifName)
  },

  status(call) {
    const { config: { ipam }, network } = call
    const plan = planOf(call)
    const run = current(plan)
    if (run === undefined) return requireAgent(ipam, network, true)
    const why = whyOutOfService(ipam, run)
    if (why) {
      throw new CniError('notAvailable', `this host hands out no addresses of ${network}: ${why.reason}`, why.advice)
    }
    const pool = plan.agree(run)
    if (lacks(pool, [], plan.exclude)) return requireMore(ipam, network, plan.exclude)
    try {
      call.delegate(hostLocalConfig(pool, ipam.dataDir, { exclude: plan.exclude })).status()
    } catch (error) {
      if (!(error instanceof CniError) || error.code !== codes.notAvailable) throw error
      return requireMore(ipam, network, plan.exclude)
    }
    warnOfLoss(ipam, network)
  },

  gc(call) {
    const { raw, valid, attempt } = call
    const place = placeIn(raw)
    attempt(() => call.delegate(recordsOnly(place.dataDir)).gc())
    attempt(() => release(call, place, isStale(valid)))
  },
})
