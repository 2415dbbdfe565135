// host-local: addresses from ranges of this host, recorded in files that the reference plugin understands and shares.
// https://www.cni.dev/plugins/current/ipam/host-local/
import { capacity, describeSet, isCandidate, numberIn, rangeFor, type RangeSet } from '#cni/address-range.ts'
import { broken } from '#cni/check.ts'
import { driver, type Call, type Del } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { isObject, lookUp, type Json } from '#cni/json.ts'
import { noResult, type IpConfig } from '#cni/result.ts'
import { readRoutes } from '#cni/routes.ts'
import type { Attachment } from '#net/attachment.ts'
import { canonicalPrefix } from '#net/prefix.ts'
import { textOf } from '#netlink/ip.ts'
import { isWritable, status } from '#sys/file.ts'
import { validate } from '#build/validators/host-local-ipam.js'
import { schema, type Config } from './config.ts'
import { exhausted, lease } from './lease.ts'
import { readRangeSets } from './range-sets.ts'
import { assignRequests } from './requested.ts'
import { readDns } from './resolv-conf.ts'
import { inUse, recordOf, Store } from './store.ts'

const defaultDataDir = schema.properties.ipam.properties.dataDir.default

/** Read from what was sent: DEL has to find the records also when another key of `ipam` is wrong. */
const dataDir = (raw: Json): string => {
  const ipam = lookUp(raw, 'ipam')
  const directory = isObject(ipam) ? lookUp(ipam, 'dataDir') : undefined
  return typeof directory === 'string' && directory !== '' ? directory : defaultDataDir
}

const directoryOf = ({ raw, network }: Pick<Call<Config>, 'raw' | 'network'>): string => `${dataDir(raw)}/${network}`

/** A relative one would mean another store to a DEL that is called from elsewhere. */
const requireAbsolute = (raw: Json): void => {
  const directory = dataDir(raw)
  if (!directory.startsWith('/')) {
    throw invalidConfig(`ipam.dataDir ${JSON.stringify(directory)} is no absolute path`, 'begin it with /')
  }
}

const ipConfig = (set: RangeSet, address: string): IpConfig => {
  const { subnet, gateway } = rangeFor(set, numberIn(set.family, address))!
  return { address: `${address}/${subnet.length}`, gateway: textOf(set.family, gateway) }
}

/** The directory itself or, before the first use, the nearest of its parents. */
const existing = (directory: string): string => {
  if (status(directory)) return directory
  const at = directory.lastIndexOf('/')
  return at < 0 ? '.' : existing(directory.slice(0, at) || '/')
}

const requireFree = (set: RangeSet, used: readonly string[], network: string): void => {
  const size = capacity(set)
  if (BigInt(used.length) < size) return
  const own = used.filter(name => {
    const address = numberIn(set.family, name)
    return address !== undefined && isCandidate(set, address)
  })
  if (BigInt(own.length) < size) return
  throw exhausted('notAvailable', set, network)
}

const release = (directory: string, { containerId, ifName }: Attachment, attempt: Del<Config>['attempt']): void => {
  using store = Store.openExisting(directory)
  if (store === undefined) return
  for (const address of store.held(containerId, ifName)) attempt(() => store.release(address))
  store.sweep()
  store.settle()
}

/** With the capability `ipRanges` the runtime sends ranges to ADD, but not to STATUS. */
const rangesAreSent = (raw: Json): boolean => {
  const capabilities = lookUp(raw, 'capabilities')
  return isObject(capabilities) && lookUp(capabilities, 'ipRanges') === true
}

export const hostLocal = driver({
  name: 'host-local',
  kind: 'ipam',
  schema,
  validate,
  args: ['IP'],

  add({ config, raw, cniVersion, network, attachment, args, undo }) {
    requireAbsolute(raw)
    const sets = readRangeSets(config, cniVersion)
    const requested = assignRequests(config, args, sets)
    const routes = readRoutes(config.ipam?.routes ?? [])
    const dns = readDns(config.ipam?.resolvConf)
    const directory = directoryOf({ raw, network })

    using store = Store.open(directory)
    store.reclaim()
    const addresses = lease(store, sets, requested, attachment)
    undo('lease', () => release(directory, attachment, step => step()))
    store.settle()
    return { ...noResult, ips: sets.map((set, i) => ipConfig(set, addresses[i]!)), routes, dns }
  },

  check({ config, raw, cniVersion, network, containerId, ifName, previous }) {
    const sets = readRangeSets(config, cniVersion)
    using store = Store.openExisting(directoryOf({ raw, network }))
    const held = store?.held(containerId, ifName) ?? []
    for (const set of sets) {
      if (held.some(address => rangeFor(set, numberIn(set.family, address)))) continue
      throw broken(`${containerId}/${ifName} has no address of ${describeSet(set)} recorded`)
    }
    for (const { address } of previous?.ips ?? []) {
      const text = canonicalPrefix(address).split('/')[0]!
      const ours = sets.some(set => rangeFor(set, numberIn(set.family, text)))
      if (!ours || held.includes(text)) continue
      throw broken(`${text} of the result is not recorded for ${containerId}/${ifName}`)
    }
  },

  del({ raw, network, attachment, attempt }) {
    release(directoryOf({ raw, network }), attachment, attempt)
  },

  status({ config, raw, cniVersion, network }) {
    requireAbsolute(raw)
    const directory = directoryOf({ raw, network })
    const place = existing(directory)
    if (!isWritable(place)) {
      const advice = 'addresses are recorded there: make it writable or choose another dataDir'
      throw new CniError('notAvailable', `ipam.dataDir: ${place} is not writable`, advice)
    }
    const { ranges, subnet } = config.ipam ?? {}
    if (ranges === undefined && subnet === undefined && rangesAreSent(raw)) return
    const used = inUse(directory)
    for (const set of readRangeSets(config, cniVersion)) requireFree(set, used, network)
  },

  gc({ raw, network, valid, attempt }) {
    using store = Store.openExisting(directoryOf({ raw, network }))
    if (store === undefined) return
    store.reclaim()
    const live = new Set(valid.flatMap(({ containerId, ifName }) => [recordOf(containerId, ifName), containerId]))
    store.retain(record => live.has(record), attempt)
    store.settle()
  },
})
