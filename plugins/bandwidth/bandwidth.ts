// bandwidth: limits what a container's interface may carry. The kernel shapes what leaves a link: what goes to the
// container leaves the host's end of its pair, and what comes from it is sent through a link made for the purpose.
import { broken, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { describe } from '#cni/interface.ts'
import { lackingInKernel } from '#cni/kernel.ts'
import type { Result } from '#cni/result.ts'
import { label, networkLabel, type Attachment } from '#net/attachment.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import type { Link } from '#netlink/route/link.ts'
import { Traffic, type Bucket } from '#netlink/route/traffic.ts'
import { sha256, sha512 } from '#sys/digest.ts'
import { tolerate } from '#sys/errno.ts'
import { validate } from '#build/validators/bandwidth.js'
import { schema } from './config.ts'
import { limitsOf } from './plan.ts'

const PREFIX = 'bwp'
const NAME_LENGTH = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

const shaperName = ({ network, containerId, ifName }: Attachment): string =>
  `${PREFIX}${sha256(`${network}/${containerId}/${ifName}`)}`.slice(0, NAME_LENGTH)

/** The reference plugin's name, which two interfaces of a container in one network share. */
const referenceName = ({ network, containerId }: Attachment): string =>
  `${PREFIX}${sha512(`${network}${containerId}`)}`.slice(0, NAME_LENGTH)

const trafficOf = (host: Namespace): Traffic => new Traffic(host.rtnetlink)

/** The host's end of the container's pair. @throws CniError 7 when the interface is none */
const hostEnd = (host: Namespace, pod: Namespace, ifName: string): Link => {
  const link = pod.link.find(ifName)
  if (link === undefined) {
    throw invalidConfig(`${ifName} does not exist in ${pod.path}`, 'put bandwidth behind its plugin')
  }
  const end = link.info.kind === 'veth' && link.parent !== undefined
    ? tolerate(['ENODEV'], () => host.link.at(link.parent!))
    : undefined
  if (end?.parent === link.index) return end
  throw new CniError(
    'unsupportedByKernel',
    `${ifName} has no end on the host: it is a ${link.info.kind || 'hardware'} link`,
    'bandwidth limits veth pairs, such as those of bridge and ptp',
  )
}

const addShaper = (host: Namespace, attachment: Attachment, mtu: number, undo: Undo): Link => {
  const name = shaperName(attachment)
  create(undo, `link ${name}`, () => host.link.remove(name), () => host.requestAll([
    host.link.adding({ name, mtu, up: true, txQueueLength: 0, info: { kind: 'ifb' } }),
    host.link.setting(0, { name, alias: label(attachment) }),
  ]))
  return host.link.get(name)
}

const checkBucket = (host: Namespace, { index, name }: Link, { rate, limit }: Bucket): void => {
  const found = trafficOf(host).list(index).find(({ root }) => root)
  if (found?.kind !== 'tbf') throw broken(`${name} has lost its limit`)
  expect(`rate of ${name} in bytes per second`, found.rate, rate)
  expect(`queue of ${name} in bytes`, found.limit, limit)
}

const absent = ['ENOENT', 'EINVAL', 'ENODEV']

export const bandwidth = driver({
  name: 'bandwidth',
  kind: 'chained',
  schema,
  validate,

  add({ config, attachment, ifName, host, pod, previous, undo }): Result {
    const { ingress, egress } = limitsOf(config)
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'bandwidth follows another plugin')
    if (!ingress && !egress) return previous
    const end = hostEnd(host, pod, ifName)
    if (ingress) {
      create(undo, `limit of ${end.name}`, () => tolerate(absent, () => trafficOf(host).unshape(end.index)), () =>
        trafficOf(host).shape(end.index, ingress))
    }
    if (!egress) return previous
    const shaper = addShaper(host, attachment, end.mtu, undo)
    trafficOf(host).shape(shaper.index, egress)
    const traffic = trafficOf(host)
    create(undo, `redirection of ${end.name}`, () => tolerate(absent, () => traffic.endRedirect(end.index)), () =>
      traffic.redirect(end.index, shaper.index))
    return { ...previous, interfaces: [...previous.interfaces, describe(shaper)] }
  },

  check({ config, attachment, ifName, host, pod, previous }) {
    requirePrevious(previous)
    const { ingress, egress } = limitsOf(config)
    if (!ingress && !egress) return
    const end = hostEnd(host, pod, ifName)
    if (ingress) checkBucket(host, end, ingress)
    if (!egress) return
    const to = trafficOf(host).redirectedTo(end.index)
    const shaper = to === undefined ? undefined : tolerate(['ENODEV'], () => host.link.at(to))
    const names = [shaperName(attachment), referenceName(attachment)]
    if (!shaper || !names.includes(shaper.name)) throw broken(`${end.name} does not go through ${names[0]}`)
    expect(`state of ${shaper.name}`, shaper.up ? 'up' : 'down', 'up')
    checkBucket(host, shaper, egress)
  },

  del({ attachment, ifName, host, pod, attempt }) {
    attempt(() => {
      const link = pod?.link.find(ifName)
      const end = link?.info.kind === 'veth' && link.parent ? link.parent : undefined
      if (end === undefined) return
      // The pair may outlive its limits.
      tolerate(absent, () => trafficOf(host).endRedirect(end))
      tolerate(absent, () => trafficOf(host).unshape(end))
    })
    attempt(() => { host.link.remove(shaperName(attachment)) })
    attempt(() => {
      const name = referenceName(attachment)
      if (host.link.find(name)?.info.kind === 'ifb') host.link.remove(name)
    })
  },

  status({ config, host }) {
    limitsOf(config)
    if (!host.link.supports('ifb')) throw lackingInKernel('ifb links')
  },

  gc({ network, host, valid, attempt }) {
    const keep = new Set(valid.map(label))
    attempt(() => {
      for (const { name, alias = '', info } of host.link.list()) {
        if (info.kind === 'ifb' && alias.startsWith(networkLabel(network)) && !keep.has(alias)) host.link.remove(name)
      }
    })
  },
})
