// The host as a router.
import type { Family } from '#netlink/ip.ts'
import { label, type Attachment } from './attachment.ts'
import { create, type Undo } from './creation.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'
import { attachedLinks } from './veth.ts'
import type { Namespace } from './namespace.ts'

const forwarding: Readonly<Record<Family, string>> = { ipv4: 'ipv4/ip_forward', ipv6: 'ipv6/conf/all/forwarding' }

/** Whether the host forwards packets of a family. */
export const isForwarding = (family: Family): boolean => readSysctl(forwarding[family]) === '1'

const RTPROT_RA = 9 // include/uapi/linux/rtnetlink.h

/**
 * A host that forwards takes no default route from a router's advertisement, and drops those that it has, unless the
 * link is told otherwise: `accept_ra` in the kernel's Documentation/networking/ip-sysctl.rst.
 */
const keepAdvertisedRoutes = (host: Namespace, undo: Undo): void => {
  for (const dev of new Set(host.route.list().filter(({ protocol }) => protocol === RTPROT_RA).map(({ dev }) => dev))) {
    const setting = `ipv6/conf/${host.link.at(dev).name}/accept_ra`
    if (readSysctl(setting) !== '1') continue
    create(undo, setting, () => writeSysctl(setting, '1'), () => writeSysctl(setting, '2'))
  }
}

/**
 * Has the host forward packets of the families in use. A failed ADD takes it back only on a host without any other
 * attachment: by then somebody else may rely on it.
 */
export const enableForwarding = (
  host: Namespace, attachment: Attachment, families: ReadonlySet<Family>, undo: Undo,
): void => {
  const isAlone = (): boolean => attachedLinks(host).every(({ alias }) => alias === label(attachment))
  for (const family of families) {
    const before = readSysctl(forwarding[family])
    if (before === '1') continue
    if (family === 'ipv6') keepAdvertisedRoutes(host, undo)
    const takeBack = (): void => { if (before !== undefined && isAlone()) writeSysctl(forwarding[family], before) }
    create(undo, forwarding[family], takeBack, () => writeSysctl(forwarding[family], '1'))
  }
}
