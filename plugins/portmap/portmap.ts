// portmap: ports of the host that lead to ports of the container, as Docker's --publish.
import { requirePrevious, verify } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { create } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import * as openPorts from '#net/open-ports.ts'
import { PortTaken } from '#net/port-taken.ts'
import * as published from '#net/published.ts'
import { validate } from '#build/validators/portmap.js'
import { schema, type Config } from './config.ts'
import { exposureOf } from './exposure.ts'
import {
  addressesOf, backendOf, knownMappings, knownPorts, publicationOf, refuseContradictions, refusedKey,
  unpublished,
} from './plan.ts'

/** Nothing is done in the container, but a CNI_NETNS that leads nowhere is refused here, too, by being opened. */
const requireOpen = ({ fd }: Namespace): void => void fd

/** @throws CniError 100 that says who has a port which somebody has; 7 that names the key which iptables refuses */
const refusing = (config: Partial<Config>, add: () => void): void => {
  try {
    add()
  } catch (error) {
    const key = refusedKey(config, error)
    if (key !== undefined && error instanceof Error) throw invalidConfig(`${key} is refused by ${error.message}`)
    if (!(error instanceof PortTaken)) throw error
    const advice = 'choose another hostPort, or a hostIP on which the port is free'
    throw new CniError('kernelRefused', error.message, advice, { cause: error })
  }
}

export const portmap = driver({
  name: 'portmap',
  kind: 'chained',
  schema,
  validate,

  add({ config, attachment, host, pod, previous, undo, warn }) {
    refuseContradictions(config)
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'portmap follows another plugin')
    requireOpen(pod)
    const publication = publicationOf(config, attachment, previous)
    const lost = unpublished(config, publication)
    if (lost !== undefined) warn(lost)
    const { translated, opened } = exposureOf(host, previous, publication.mappings)
    if (translated.length > 0) {
      refusing(config, () =>
        create(undo, 'published ports', () => published.remove(host, attachment, translated), () =>
          published.add(host, { ...publication, mappings: translated }, backendOf(config))))
    }
    if (opened.length > 0) {
      create(undo, 'open ports', () => openPorts.shut(host, attachment, opened), () =>
        openPorts.open(host, attachment, opened))
    }
    return previous
  },

  check({ config, attachment, host, previous }) {
    const result = requirePrevious(previous)
    refuseContradictions(config)
    const publication = publicationOf(config, attachment, result)
    const { translated, opened } = exposureOf(host, result, publication.mappings)
    verify(() => published.check(host, { ...publication, mappings: translated }, backendOf(config)))
    verify(() => openPorts.check(host, attachment, opened))
  },

  del({ config, attachment, ifName, host, previous, attempt }) {
    const addresses = previous && addressesOf(previous, ifName)
    attempt(() => published.remove(host, attachment, knownPorts(config), addresses))
    attempt(() => openPorts.shut(host, attachment, knownMappings(config, addresses)))
  },

  status({ config, host }) {
    refuseContradictions(config)
    const lacking = published.lacking(host, backendOf(config))
    if (lacking !== undefined) throw new CniError('notAvailable', lacking, 'install it, or choose another backend')
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => published.collect(host, network, valid))
    attempt(() => openPorts.collect(host, network, valid))
  },
})
