// A world outside of the machine: a namespace behind a wire, with no route to any container.
import type { Machine } from './machine.ts'
import { awaitServer } from './reach.ts'
import { rootfs, server } from './rootfs.ts'

/** The machine's addresses on the wire, and where the outside server listens. */
export const wire = {
  machine: ['192.0.2.1', '2001:db8::1'],
  server: ['192.0.2.2', '2001:db8::2'],
} as const

/** Its network namespace. */
export const outsideNetns = '/run/netns/outside'

/** The words that run an applet in the outside. */
export const outside = ['nsenter', `--net=${outsideNetns}`, 'busybox']

/** Has the machine forward only what a rule accepts, as Docker does on its host. */
export const dropForwarded = (machine: Machine): void => {
  for (const program of ['iptables', 'ip6tables']) machine.run(program, '-P', 'FORWARD', 'DROP')
}

/** Lays the wire and starts the server. Without translation of the source no answer finds a container. */
export const openOutside = (machine: Machine): void => {
  const script = `
    ip netns add outside
    ip link add wire0 type veth peer name wire0 netns outside
    ip address add 192.0.2.1/24 dev wire0
    ip address add 2001:db8::1/64 dev wire0 nodad
    ip link set wire0 up
    ip -n outside address add 192.0.2.2/24 dev wire0
    ip -n outside address add 2001:db8::2/64 dev wire0 nodad
    ip -n outside link set wire0 up
    ip -n outside link set lo up`
  machine.run('sh', '-e', '-c', script)
  machine.start('nsenter', `--net=${outsideNetns}`, 'chroot', rootfs, ...server)
  awaitServer(machine, outside)
}
