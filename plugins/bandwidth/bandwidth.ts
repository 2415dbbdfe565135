// bandwidth: limits what a container's interface may carry. The kernel shapes what leaves a link: what goes to the
// container leaves the host's end of its pair, and what comes from it is sent through a link made for the purpose.
import { requireLink } from '#cni/chained.ts'
import { broken, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { describe } from '#cni/interface.ts'
import { lackingInKernel, requireKinds } from '#cni/kernel.ts'
import type { Result } from '#cni/result.ts'
import { label, networkLabel, type Attachment } from '#net/attachment.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { hostEnd, isForAnother } from '#net/veth.ts'
import type { Link } from '#netlink/route/link.ts'
import { REFERENCE_HANDLE, Traffic, type Bucket } from '#netlink/route/traffic.ts'
import { sha256, sha512 } from '#sys/digest.ts'
import { errnoOf, tolerate } from '#sys/errno.ts'
import { validate } from '#build/validators/bandwidth.js'
import { schema, type Config } from './config.ts'
import { limitsOf, passing } from './plan.ts'

const PREFIX = 'bwp'
const NAME_LENGTH = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

/**
 * The names that a shaper may have. The first is the reference plugin's, so that either plugin deletes what the other
 * has made; two interfaces of a container in one network would share it, so one of them takes the second.
 */
const shaperNames = ({ network, containerId, ifName }: Attachment): readonly [string, string] => {
  const digests = [sha512(`${network}${containerId}`), sha256(`${network}/${containerId}/${ifName}`)] as const
  return [`${PREFIX}${digests[0]}`.slice(0, NAME_LENGTH), `${PREFIX}${digests[1]}`.slice(0, NAME_LENGTH)]
}

const absent = ['ENOENT', 'EINVAL', 'ENODEV']

const trafficOf = (host: Namespace): Traffic => new Traffic(host.rtnetlink)

/** The host's end of a container's link. @throws CniError that says what the link is instead */
const requireEnd = (host: Namespace, pod: Namespace, link: Link): Link => {
  const end = hostEnd(host, pod, link)
  if (end) return end
  const kind = link.info.kind === 'veth' ? 'its other end is elsewhere'
    : `it is ${link.info.kind ? `of kind ${link.info.kind}` : 'hardware'}`
  throw new CniError(
    'unsupportedByKernel',
    `${link.name} has no end on the host: ${kind}`,
    'bandwidth limits veth pairs, such as those of bridge and ptp',
  )
}

const addShaper = (host: Namespace, attachment: Attachment, mtu: number, undo: Undo): Link => {
  const add = (name: string): Link => {
    create(undo, `link ${name}`, () => host.link.remove(name), () =>
      host.link.add({ name, mtu, up: true, txQueueLength: 0, info: { kind: 'ifb' } }))
    const link = host.link.get(name)
    host.link.set(link.index, { alias: label(attachment) })
    return link
  }
  const [name, otherName] = shaperNames(attachment)
  return tolerate(['EEXIST'], () => add(name)) ?? add(otherName)
}

/** Whether a link is an attachment's shaper. The reference plugin's have no label. */
const isShaper = (link: Link | undefined, attachment: Attachment): link is Link =>
  link?.info.kind === 'ifb' && shaperNames(attachment).includes(link.name) &&
  (link.alias === undefined || link.alias === label(attachment))

const checkBucket = (host: Namespace, { index, name, mtu }: Link, bucket: Bucket): void => {
  const { rate, limit } = passing(bucket, mtu)
  const found = trafficOf(host).list(index).find(({ root }) => root)
  if (found?.kind !== 'tbf') throw broken(`${name} has lost its limit`)
  expect(`rate of ${name} in bytes per second`, found.rate, rate)
  expect(`queue of ${name} in bytes`, found.limit, limit)
}

/** What is asked for wrongly has never been set. */
const askedIngress = (config: Config): Bucket | undefined => {
  try {
    return limitsOf(config).ingress
  } catch {
    return undefined
  }
}

/** The pair may outlive its limits. Another's discipline for either direction, and another's redirection, stay. */
const unlimit = (host: Namespace, { index }: Link, attachment: Attachment, config: Config): void => {
  const traffic = trafficOf(host)
  tolerate(absent, () => traffic.unshape(index))
  const found = traffic.list(index)
  // The reference plugin's handle is one that others like, too, so the limit has to be the one that was asked for.
  const theirs = found.find(({ root, kind, handle }) => root && kind === 'tbf' && handle === REFERENCE_HANDLE)
  if (theirs && theirs.rate === askedIngress(config)?.rate)
    tolerate(absent, () => traffic.unshape(index, REFERENCE_HANDLE))
  if (!found.some(({ kind }) => kind === 'ingress')) return
  const to = traffic.redirectedTo(index)
  const shaper = to ? tolerate(['ENODEV'], () => host.link.at(to)) : undefined
  const isOwn = shaper ? isShaper(shaper, attachment)
    // Either the shaper went first, or ADD was killed before it had made the filter.
    : to !== undefined || shaperNames(attachment).some(name => isShaper(host.link.find(name), attachment))
  if (isOwn) tolerate(absent, () => traffic.endRedirect(index))
}

/** @throws CniError 50 when somebody, such as an ADD before this one, limits the link already */
const unlessLimited = (name: string, step: () => void): void => {
  try {
    step()
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw new CniError(
      'notAvailable', `${name} has a qdisc already`, 'see `tc qdisc show`; after an ADD, DEL comes before another',
      { cause: error },
    )
  }
}

export const bandwidth = driver({
  name: 'bandwidth',
  kind: 'chained',
  schema,
  validate,

  add({ config, attachment, ifName, host, pod, previous, undo }): Result {
    const { ingress, egress } = limitsOf(config)
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'bandwidth follows another plugin')
    if (!ingress && !egress) return previous
    const end = requireEnd(host, pod, requireLink(pod, ifName, 'bandwidth'))
    if (ingress) {
      unlessLimited(end.name, () => create(
        undo, `limit of ${end.name}`, () => tolerate(absent, () => trafficOf(host).unshape(end.index)),
        () => trafficOf(host).shape(end.index, passing(ingress, end.mtu)),
      ))
    }
    if (!egress) return previous
    const shaper = addShaper(host, attachment, end.mtu, undo)
    trafficOf(host).shape(shaper.index, passing(egress, shaper.mtu))
    const traffic = trafficOf(host)
    unlessLimited(end.name, () => create(
      undo, `redirection of ${end.name}`, () => tolerate(absent, () => traffic.endRedirect(end.index)),
      () => traffic.redirect(end.index, shaper.index),
    ))
    return { ...previous, interfaces: [...previous.interfaces, describe(shaper)] }
  },

  check({ config, attachment, ifName, host, pod, previous }) {
    requirePrevious(previous)
    const { ingress, egress } = limitsOf(config)
    if (!ingress && !egress) return
    const end = hostEnd(host, pod, pod.link.find(ifName))
    if (!end) throw broken(`${ifName} or its end on the host is missing`)
    if (ingress) checkBucket(host, end, ingress)
    if (!egress) return
    const to = trafficOf(host).redirectedTo(end.index)
    const shaper = to ? tolerate(['ENODEV'], () => host.link.at(to)) : undefined
    if (!isShaper(shaper, attachment)) throw broken(`${end.name} does not go through its ${PREFIX}… link`)
    expect(`state of ${shaper.name}`, shaper.up ? 'up' : 'down', 'up')
    checkBucket(host, shaper, egress)
  },

  del({ config, attachment, ifName, host, pod, attempt }) {
    attempt(() => {
      const end = pod && hostEnd(host, pod, pod.link.find(ifName))
      if (end && !isForAnother(end, attachment)) unlimit(host, end, attachment, config)
    })
    for (const name of shaperNames(attachment)) {
      attempt(() => { if (isShaper(host.link.find(name), attachment)) host.link.remove(name) })
    }
  },

  status({ config, host }) {
    limitsOf(config)
    requireKinds(host, 'ifb')
    if (!trafficOf(host).supportsShaping()) throw lackingInKernel('token buckets (tbf)')
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
