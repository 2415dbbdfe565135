// add, check, del, status and gc: as cnitool of containernetworking/cni, from the same environment variables.
import { resolve, dirname } from 'node:path'
import { Cache } from './cache.ts'
import { Chain } from './chain.ts'
import { containerIdOf, netnsPath } from './container.ts'
import { encodeMap } from './go-json.ts'
import { loadNetwork } from './network-directory.ts'
import type { NetworkList } from './network-list.ts'
import { parseArgs, parseCapabilityArgs, type Target } from './request.ts'
import type { Shell } from './shell.ts'
import { isTaken } from './taken.ts'

const DEFAULT_CONFIGURATIONS = '/etc/cni/net.d'
const DEFAULT_PLUGINS = '/opt/cni/bin'
const DEFAULT_IF_NAME = 'eth0'

const pluginPath = ({ variables, executable }: Shell): string[] => {
  const stated = (variables['CNI_PATH'] ?? '').split(':').filter(directory => directory !== '')
  return stated.length > 0 ? stated : [dirname(executable), DEFAULT_PLUGINS]
}

/** One network of the configuration directory, and its plugins ready to be called. */
export class NetworkCommand {
  readonly #shell: Shell
  readonly #list: NetworkList
  readonly #cache: Cache
  readonly #chain: Chain

  /** @throws CniError when there is no such network */
  constructor(network: string, shell: Shell) {
    const { variables, stateDirectory, directory, complain } = shell
    this.#shell = shell
    this.#list = loadNetwork(resolve(directory, variables['NETCONFPATH'] || DEFAULT_CONFIGURATIONS), network)
    this.#cache = new Cache(stateDirectory)
    const path = pluginPath(shell)
    const warn = (message: string): void => complain(`fairlead: ${message}`)
    this.#chain = new Chain(this.#list, { variables, path, cache: this.#cache, isTaken, forward: complain, warn })
  }

  add(netns: string, ifName: string | undefined): void {
    const target = this.#target(netns, ifName)
    this.#tellUnasked(target)
    this.#shell.print(`${encodeMap(this.#chain.add(target), 4)}\n`)
  }

  check(netns: string, ifName: string | undefined): void { this.#chain.check(this.#target(netns, ifName)) }
  del(netns: string, ifName: string | undefined): void { this.#chain.del(this.#target(netns, ifName)) }
  status(): void { this.#chain.status() }
  gc(everything: boolean): void { this.#chain.gc(everything) }

  /** A runtime says nothing when it has something for no plugin; a person has forgotten a key. */
  #tellUnasked({ capabilityArgs }: Target): void {
    const asked = new Set(this.#list.plugins.flatMap(({ capabilities }) => capabilities))
    for (const name of Object.keys(capabilityArgs).filter(each => !asked.has(each))) {
      this.#shell.complain(`fairlead: nobody gets ${name} of CAP_ARGS: no plugin of ${this.#list.name} says ` +
        `"capabilities": {"${name}": true}`)
    }
  }

  #target(operand: string, option: string | undefined): Target {
    const { variables, directory } = this.#shell
    const network = this.#list.name
    const ifName = option || variables['CNI_IFNAME'] || DEFAULT_IF_NAME
    const isAttached = (path: string): boolean => this.#cache.has({ network, containerId: containerIdOf(path), ifName })
    const netns = netnsPath(operand, directory, isAttached)
    return {
      network, ifName, netns, containerId: containerIdOf(netns),
      args: parseArgs(variables['CNI_ARGS'] ?? ''),
      capabilityArgs: parseCapabilityArgs(variables['CAP_ARGS'] ?? ''),
    }
  }
}
