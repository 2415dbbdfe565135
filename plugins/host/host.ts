// host: a container that shares the host's network, as `docker run --network host`. There is nothing to be made: the
// runtime starts the container in the host's namespace, and the plugin tells whether it has.
import { broken, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { describe } from '#cni/interface.ts'
import { noResult, type Dns, type Result } from '#cni/result.ts'
import { isAttachmentLabel } from '#net/attachment.ts'
import { defaultRouteLink } from '#net/default-route.ts'
import { isOwnNetns, type Namespace } from '#net/namespace.ts'
import { scope } from '#netlink/route/route.ts'
import { validate } from '#build/validators/host.js'
import { schema } from './config.ts'

/** Where the host can be reached; the link of the default route first, because readers take the first address. */
const describeHost = (host: Namespace, dns: Dns): Result => {
  const first = defaultRouteLink(host)
  const links = host.link.list().filter(({ up, loopback, alias }) => up && !loopback && !isAttachmentLabel(alias))
    .map(link => ({
      link, addresses: host.addr.list(link.index).filter(address => address.scope === scope.global),
    }))
    .filter(({ addresses }) => addresses.length > 0)
    .sort((one, other) => Number(other.link.index === first) - Number(one.link.index === first))
  return {
    ...noResult,
    dns,
    interfaces: links.map(({ link }) => describe(link)),
    ips: links.flatMap(({ addresses }, at) => addresses.map(({ address }) => ({ address, interface: at }))),
  }
}

export const host = driver({
  name: 'host',
  kind: 'interface',
  sharesHost: true,
  schema,
  validate,

  add({ config, cniVersion, host, netns, previous, warn }) {
    if (previous) {
      throw invalidConfig('host cannot follow another plugin', 'a container in the host\'s namespace needs no chain')
    }
    if (!isOwnNetns(netns)) {
      throw new CniError(
        'invalidNetns',
        `CNI_NETNS ${netns} is not the host's network namespace`,
        'no plugin can move a container there: have the runtime start it with the host\'s network, or use bridge',
      )
    }
    const ports = config.runtimeConfig?.portMappings ?? []
    if (ports.length > 0) {
      warn(`host: portMappings ignored (${ports.length}): what the container listens on is open on the host as it is`)
    }
    const result = describeHost(host, config.dns ?? {})
    if (result.ips.length === 0) requireExpressible(cniVersion, 'none')
    return result
  },

  check({ netns, previous }) {
    requirePrevious(previous)
    if (!isOwnNetns(netns)) throw broken(`CNI_NETNS ${netns} is not the host's network namespace`)
  },

  del() {},
  status() {},
  gc() {},
})
