// podman's CNI mode in a private machine: containers.conf(5), containers-storage.conf(5), containers-policy.json(5).
import type { Test } from 'tap'
import { leftovers, opened } from './leftovers.ts'
import type { Machine } from './machine.ts'
import { bridgeOf, writeNetwork } from './networks.ts'
import type { Network } from './networks.ts'
import { addressesIn, awaitServer } from './reach.ts'
import { rootfs, server } from './rootfs.ts'

const settings = `
[containers]
cgroups = "disabled"
default_capabilities = ["NET_RAW", "NET_BIND_SERVICE"]
[engine]
events_logger = "none"
runtime = "crun"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"
`

const storage = `
[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
`

/** Writes podman's settings. @returns why podman cannot run a container here even without a network, else false */
export const settlePodman = (machine: Machine): string | false => {
  machine.write('/etc/containers/containers.conf', settings)
  machine.write('/etc/containers/storage.conf', storage)
  machine.write('/etc/containers/policy.json', { default: [{ type: 'insecureAcceptAnything' }] })
  const probe = ['podman', 'run', '--rm', '--network', 'none', '--rootfs', rootfs, '/bin/true']
  const { status, words } = machine.attempt(...probe)
  return status !== 0 && `podman runs no container here: ${words}`
}

/** Runs a container to its end with these options. @returns what its command printed */
export const runOnce = (machine: Machine, options: readonly string[], ...command: string[]): string =>
  machine.run('podman', 'run', '--rm', ...options, '--rootfs', rootfs, ...command)

/** The words that run a command in a container. */
export const inContainer = (name: string): string[] => ['podman', 'exec', name]

/** Starts a container with a waiting HTTP server. @returns the container's name */
export const serve = (machine: Machine, name: string, ...options: string[]): string => {
  machine.run('podman', 'run', '--detach', '--name', name, ...options, '--rootfs', rootfs, ...server)
  awaitServer(machine, inContainer(name))
  return name
}

/** The container's IPv4 and IPv6 address in a network, as podman understood the result. */
export const attachment = (machine: Machine, name: string, network: string): string[] => {
  const format = `{{with index .NetworkSettings.Networks "${network}"}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}`
  return machine.run('podman', 'inspect', name, '--format', format).split(' ')
}

/** The container's process, as the machine numbers it. */
export const pidOf = (machine: Machine, name: string): string =>
  machine.run('podman', 'inspect', name, '--format', '{{.State.Pid}}')

/** Removes every container, running ones too. */
export const removeAll = (machine: Machine): void => {
  machine.run('podman', 'rm', '--all', '--force', '--time', '0')
}

/**
 * Opens a network with a first container, which may leave what is shared; those of `body` must leave nothing.
 * What is there then goes when the test ends, bridges included.
 * @param options of the first container, beside its network
 */
export const within = async (t: Test, machine: Machine, network: Network, body: () => void | Promise<void>,
  ...options: string[]): Promise<void> => {
  const empty = leftovers(machine)
  t.teardown(() => {
    removeAll(machine)
    const bridges = leftovers(machine).links.filter(link => !empty.links.includes(link))
    for (const bridge of bridges) machine.run('ip', 'link', 'delete', bridge)
  })
  writeNetwork(machine, network)
  const shown = runOnce(machine, ['--network', network.name, ...options], 'ip', '-o', 'address', 'show', 'dev', 'eth0')
  const before = opened(t, machine, empty, bridgeOf(network), addressesIn(shown))
  await body()
  removeAll(machine)
  t.same(leftovers(machine), before, 'nothing is left')
}
