// firewall: has the host let through what a container sends and what is sent to it, and keeps networks apart.
import { requirePrevious, verify } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { create } from '#net/creation.ts'
import * as firewall from '#net/firewall.ts'
import { BusError } from '#net/system-bus.ts'
import { validate } from '#build/validators/firewall.js'
import { schema } from './config.ts'
import { admissionOf, hostLinks, meet, ownAddresses, refuseContradictions } from './plan.ts'

const { firewalldZone } = schema.properties

/** @throws CniError 50 with firewalld's own words */
const asking = <T>(step: () => T): T => {
  try {
    return step()
  } catch (error) {
    if (!(error instanceof BusError)) throw error
    throw new CniError(
      'notAvailable',
      `backend firewalld: ${error.message}`,
      'see `firewall-cmd --state` and `--get-active-zones`, or choose the nftables backend',
      { cause: error },
    )
  }
}

export const firewallPlugin = driver({
  name: 'firewall',
  kind: 'chained',
  schema,
  validate,

  add({ config, attachment, ifName, host, pod, previous, undo }) {
    refuseContradictions(config)
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'firewall follows another plugin')
    const { backend, firewalldZone: zone } = config
    const meeting = meet(host, pod, ifName, previous)
    const admission = admissionOf(config, attachment, previous, meeting)
    const hints = { backend, zone, addresses: admission.addresses, links: [] }
    create(undo, 'firewall', () => firewall.remove(host, attachment, hints), () =>
      asking(() => firewall.add(host, admission, { backend, zone, port: meeting.port })))
    return previous
  },

  check({ config, attachment, ifName, host, pod, previous }) {
    const result = requirePrevious(previous)
    const { backend, firewalldZone: zone } = config
    const meeting = meet(host, pod, ifName, result)
    const admission = admissionOf(config, attachment, result, meeting)
    verify(() => firewall.check(host, admission, { backend, zone, port: meeting.port }))
  },

  del({ config, attachment, ifName, host, previous, attempt }) {
    const addresses = previous && ownAddresses(previous, ifName)
    const { backend, firewalldZone: zone = firewalldZone.default } = config
    const links = previous ? hostLinks(previous) : []
    attempt(() => asking(() => firewall.remove(host, attachment, { backend, zone, addresses, links })))
  },

  status({ config: { backend, ...config }, host }) {
    refuseContradictions({ backend, ...config })
    const lack = firewall.findLack(host, backend)
    if (lack !== undefined) throw new CniError('notAvailable', `backend ${backend ?? 'nftables'}: ${lack}`)
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => asking(() => firewall.collect(host, network, valid)))
  },
})
