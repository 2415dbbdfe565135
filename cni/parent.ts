// The link that a container's is stacked on: named, found by the default route, or made for the network as Docker's
// drivers macvlan and ipvlan do.
import type { Attachment } from '#net/attachment.ts'
import type { Undo } from '#net/creation.ts'
import { defaultRouteLink } from '#net/default-route.ts'
import type { Namespace } from '#net/namespace.ts'
import { isShared, joinShared } from '#net/shared-link.ts'
import type { Link, LinkSpec } from '#netlink/route/link.ts'
import { errnoOf, tolerate } from '#sys/errno.ts'
import { sha256 } from '#sys/digest.ts'
import { broken, expect } from './check.ts'
import { CniError, codes, invalidConfig } from './errors.ts'
import { requireKinds } from './kernel.ts'
import type { FromSchema, Schema } from './schema.ts'

/** Where a driver finds the parent, without the ways of making one. */
export const masterKeys = {
  master: {
    type: 'string', pattern: '^[^\\s/]{1,15}$',
    description: 'the parent: name of a link on the host, or with `linkInContainer` in the container; without it, ' +
      'the one of the default route with the lowest metric',
  },
  linkInContainer: {
    type: 'boolean', default: false, description: 'the parent is in the container\'s network namespace',
  },
  mtu: {
    type: 'integer', minimum: 0, maximum: 65535, default: 0, description: 'at most the parent\'s; 0 is the parent\'s',
  },
} as const satisfies Record<string, Schema>

/** The parent, and what may be made to be one. */
export const parentKeys = {
  ...masterKeys,
  vlan: {
    type: 'integer', minimum: 0, maximum: 4094, default: 0,
    description: 'stand on this 802.1Q VLAN of the parent, `eth0.50` for 50; 0 is none',
  },
  createParent: {
    type: 'boolean',
    description: 'make a missing `eth0.50`, and remove it with the last attachment that uses it; ' +
      'default: true with `vlan`, else false',
  },
  internal: {
    type: 'boolean', default: false,
    description: 'no way out: the parent is a dummy link that is made for the network; not with `master` or `vlan`',
  },
} as const satisfies Record<string, Schema>

const schema = { type: 'object', properties: parentKeys } as const satisfies Schema
/** What a configuration says of the parent; a driver without ways of making one leaves those keys out. */
export type ParentConfig = Partial<FromSchema<typeof schema>>

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseParent = ({ master, vlan, createParent, internal, linkInContainer }: ParentConfig): void => {
  if (internal && (master || vlan)) {
    throw invalidConfig(
      `internal true and ${master ? `master ${JSON.stringify(master)}` : `vlan ${vlan}`} exclude each other`,
      'what is attached to a link of the host is on its network: leave the parent out, or internal',
    )
  }
  const forHosts = { vlan, createParent, internal }
  const key = linkInContainer && Object.entries(forHosts).find(([, value]) => value)?.[0]
  if (key) {
    throw invalidConfig(
      `linkInContainer true and ${key} ${forHosts[key as keyof typeof forHosts]} exclude each other`,
      'parents are made on the host only',
    )
  }
}

/** A parent before anything is touched: a link that is there, or one that will be made or is shared. */
export interface Parent {
  readonly home: Namespace
  readonly mtu: number
  readonly link: Link | undefined
  readonly spec: LinkSpec & { readonly name: string }
}

const missing = (name: string): CniError =>
  invalidConfig(`master ${JSON.stringify(name)} does not exist`, 'name a link that `ip link` shows there')

const named = (home: Namespace, { master }: ParentConfig): Link | undefined => {
  if (master) return home.link.find(master)
  const index = defaultRouteLink(home)
  if (index === undefined) {
    throw invalidConfig('there is no default route to find the parent by', 'name the parent under master')
  }
  return home.link.at(index)
}

const existing = (home: Namespace, link: Link): Parent =>
  ({ home, mtu: link.mtu, link, spec: { name: link.name } })

const MAX_NAME_BYTES = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

/** The link of a VLAN on `base`, which need not exist yet. */
const onVlan = (home: Namespace, base: Link, vid: number, isAllowed: boolean): Parent => {
  const name = `${base.name}.${vid}`
  if (name.length > MAX_NAME_BYTES) {
    throw invalidConfig(`the parent ${name} would have more than ${MAX_NAME_BYTES} characters`, 'rename its master')
  }
  const link = home.link.find(name)
  if (link === undefined && !isAllowed) throw missing(name)
  if (link && (link.info.kind !== 'vlan' || link.info.vid !== vid || link.parent !== base.index)) {
    throw invalidConfig(`${name} exists and is not VLAN ${vid} of ${base.name}`, 'rename or remove that link')
  }
  const info = { kind: 'vlan', vid } as const
  return { home, mtu: link?.mtu ?? base.mtu, link, spec: { name, parent: base.index, up: true, info } }
}

const DOTTED = /^([^.]+)\.([1-9]\d{0,3})$/
const MAX_VID = 4094
const DEFAULT_MTU = 1500 // ETH_DATA_LEN of include/uapi/linux/if_ether.h

/**
 * Finds the parent without touching anything.
 * @throws CniError 7 that names the key
 */
export const findParent = (
  home: Namespace, network: string, config: ParentConfig,
): Parent => {
  const { master = '', vlan = 0, internal } = config
  if (internal) {
    const name = `dm-${sha256(network).slice(0, 12)}`
    const link = home.link.find(name)
    if (link && (link.name !== name || !['dummy', 'bridge'].includes(link.info.kind))) {
      throw invalidConfig(`${link.name} has the name ${name}, which is the internal network's`, 'rename that link')
    }
    return { home, mtu: link?.mtu ?? DEFAULT_MTU, link, spec: { name, up: true, info: { kind: 'dummy' } } }
  }
  const link = named(home, config)
  if (link?.loopback) throw invalidConfig(`master ${link.name} is the loopback link`, 'name one that leads somewhere')
  if (vlan > 0) {
    if (link === undefined) throw missing(master)
    return onVlan(home, link, vlan, config.createParent ?? true)
  }
  if (link) return existing(home, link)
  const [, lower, vid] = DOTTED.exec(master) ?? []
  const base = config.createParent && lower && Number(vid) <= MAX_VID ? home.link.find(lower) : undefined
  if (base === undefined) throw missing(master)
  return onVlan(home, base, Number(vid), true)
}

/** @throws CniError 7 when the link on it would be larger than the parent */
export const refuseMtuAbove = ({ mtu: most, spec }: Parent, mtu: number): void => {
  if (mtu > most) throw invalidConfig(`mtu ${mtu} is above ${most} of its parent ${spec.name}`, 'lower it')
}

/** Kinds of the links that are made as parents. */
const madeHere: readonly string[] = ['vlan', 'dummy', 'bridge']

/**
 * The parent as a link: one that is there, or one that is made and used by the attachment from now on.
 * @throws NetlinkError EOPNOTSUPP when this kernel has no VLANs
 */
export const joinParent = ({ home, link, spec }: Parent, attachment: Attachment, undo: Undo): Link => {
  // What is made here gets its mark a moment later; joinShared tells it from what others have made.
  if (link && !isShared(link) && !madeHere.includes(link.info.kind)) return link
  try {
    return joinShared(home, attachment, 'parent', spec, undo)
  } catch (error) {
    if (spec.info?.kind !== 'dummy' || errnoOf(error) !== 'EOPNOTSUPP') throw error
    // A bridge without ports isolates as well as a dummy link does.
    return joinShared(home, attachment, 'parent', { ...spec, info: { kind: 'bridge' } }, undo)
  }
}

/**
 * Runs a step that stacks links on a parent.
 * @throws CniError 100 when something else takes the parent's packets, which only one can
 */
export const stackOn = <T>({ name }: Link, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error
    throw new CniError(
      'kernelRefused',
      `parent ${name} is taken: it has links of another kind on it, or is the port of a bridge or bond`,
      'macvlan and ipvlan exclude each other on one parent: name another, such as a VLAN of it; see `ip -d link`',
      { cause: error },
    )
  }
}

/**
 * The default route may lead elsewhere by now, so without a name any parent will do that is there.
 * @throws CniError 102 when a link does not stand on the parent that the configuration means, or that is down
 */
export const checkParent = (home: Namespace, link: Link, network: string, config: ParentConfig): void => {
  const isNamed = config.master || config.internal
  const { link: meant, spec } = isNamed ? findParent(home, network, config) : {}
  const below = link.parent === undefined ? undefined : tolerate(['ENODEV'], () => home.link.at(link.parent!))
  if (below === undefined || isNamed && meant === undefined) {
    throw broken(`parent ${spec?.name ?? 'link'} of ${link.name} is missing`)
  }
  if (meant) expect(`parent of ${link.name}`, below.name, meant.name)
  if (!isNamed && config.vlan) expect(`VLAN of ${below.name}`, below.info.vid, config.vlan)
  expect(`state of ${below.name}, parent of ${link.name},`, below.up ? 'up' : 'down', 'up')
}

const parentOrUnavailable = (host: Namespace, network: string, config: ParentConfig): Parent => {
  try {
    return findParent(host, network, config)
  } catch (error) {
    if (!(error instanceof CniError) || error.code !== codes.invalidConfig) throw error
    throw new CniError('notAvailable', error.message, error.details)
  }
}

/**
 * For STATUS: finds the parent, undefined when it will be in the container.
 * @throws CniError 50 when there is none, 7 when it is too small
 */
export const requireParent = (host: Namespace, network: string, config: ParentConfig): Parent | undefined => {
  if (config.linkInContainer) return undefined
  const parent = parentOrUnavailable(host, network, config)
  if (parent.link === undefined && parent.spec.info?.kind === 'vlan') requireKinds(host, 'vlan')
  refuseMtuAbove(parent, config.mtu ?? 0)
  return parent
}
