// The making of a tap: the device file that the kernel gives them out by. include/uapi/linux/if_tun.h
import { CniError } from '#cni/errors.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import type { Link } from '#netlink/route/link.ts'
import { errnoOf } from '#sys/errno.ts'
import { close, ioctl, openFile, openFlags } from '#sys/libc.ts'
import { addLabelled } from './selinux.ts'

const DEVICE = '/dev/net/tun'
const requests = { TUNSETIFF: 0x400454ca, TUNSETPERSIST: 0x400454cb, TUNSETOWNER: 0x400454cc, TUNSETGROUP: 0x400454ce }
const IFF_TAP = 0x2
const IFF_MULTI_QUEUE = 0x100
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000
/** A link of that name must not be there yet: without this a tap that is would be opened. */
const IFF_TUN_EXCL = 0x8000

/** What a tap is to be. `master` is the index of a bridge. */
export interface TapSpec {
  readonly owner?: number | undefined
  readonly group?: number | undefined
  readonly multiQueue: boolean
  readonly mtu?: number | undefined
  readonly mac?: string | undefined
  readonly master?: number | undefined
  readonly selinuxContext?: string | undefined
  /** Says whose it is. */
  readonly alias: string
}

/** struct ifreq with a name and flags: include/uapi/linux/if.h. */
const interfaceRequest = (name: string, flags: number): Uint8Array => {
  const bytes = new Uint8Array(40)
  new TextEncoder().encodeInto(name, bytes)
  new DataView(bytes.buffer).setUint16(16, flags, true)
  return bytes
}

/**
 * Opens the device file; what is made through it lands in that namespace.
 * @throws CniError 104 when the kernel or the host has none
 */
export const openDevice = (namespace: Namespace): number => {
  try {
    return namespace.run(() => openFile(DEVICE, openFlags.readWrite))
  } catch (error) {
    throw new CniError(
      'unsupportedByKernel',
      `${DEVICE} cannot be opened: ${errnoOf(error)}`,
      'load the module tun; where the plugin is in a container itself, give it that device',
      { cause: error },
    )
  }
}

/** @throws CniError 100 with the name of the request */
const ask = (fd: number, request: keyof typeof requests, name: string, argument: Uint8Array | number): void => {
  try {
    ioctl(fd, requests[request], argument)
  } catch (error) {
    const code = errnoOf(error)
    const details = code === 'EPERM' ? 'the plugin needs CAP_NET_ADMIN in the container\'s network namespace' : ''
    throw new CniError('kernelRefused', `${request} ${name}: ${code}`, details, { cause: error })
  }
}

const adjust = (pod: Namespace, name: string, { mtu, mac, master, alias }: TapSpec): void =>
  pod.link.set(0, { name, mtu, address: mac, master, alias })

/** The link is the descriptor's, and goes with it, until it is told to stay: that comes when all the rest is done. */
const addPlain = (pod: Namespace, name: string, spec: TapSpec, undo: Undo): void => {
  const fd = openDevice(pod)
  try {
    const queues = spec.multiQueue ? IFF_MULTI_QUEUE : 0
    ask(fd, 'TUNSETIFF', name, interfaceRequest(name, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL | queues))
    if (spec.owner !== undefined) ask(fd, 'TUNSETOWNER', name, spec.owner)
    if (spec.group !== undefined) ask(fd, 'TUNSETGROUP', name, spec.group)
    adjust(pod, name, spec)
    create(undo, `link ${name}`, () => pod.link.remove(name), () => ask(fd, 'TUNSETPERSIST', name, 1))
  } finally {
    close(fd)
  }
}

/**
 * ip tuntap add NAME mode tap, with all that it is to be. It has no carrier until a process opens it.
 * @throws CniError 104 when there are no taps, 7 when SELinux does not know the context, 100
 */
export const addTap = (pod: Namespace, name: string, spec: TapSpec, undo: Undo): Link => {
  if (spec.selinuxContext === undefined) {
    addPlain(pod, name, spec, undo)
  } else {
    addLabelled(pod, name, spec.selinuxContext, spec, undo)
    adjust(pod, name, spec)
  }
  return pod.link.get(name)
}
