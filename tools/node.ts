// For *.kernel.test.ts of drivers: a host in a namespace of its own, and what a runtime would do on it.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { AnyDriver } from '#cni/driver.ts'
import { invoke } from '#cni/invocation.ts'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { anotherNamespace, connect, ownNamespace } from './kernel.ts'

interface Test { teardown(step: () => void): unknown }

/** What may differ from call to call; `containerId` is `c1` and `ifName` is `eth0` unless stated. */
interface Circumstances {
  readonly containerId?: string
  readonly ifName?: string
  readonly args?: string
  /** Another driver of this host, for chains. */
  readonly driver?: AnyDriver
}

/** A host for one driver. IPAM plugins are those of build/bin. */
export class Node {
  readonly host: Namespace
  /** Where host-local keeps its leases, for `ipam.dataDir`. */
  readonly leases: string
  readonly #test: Test
  readonly #driver: AnyDriver
  readonly #basis: Json

  /**
   * @param basis what every configuration of this host begins with
   * @param subnets of its addresses; none for layer 2 only
   */
  constructor(t: Test, driver: AnyDriver, basis: Json, ...subnets: readonly string[]) {
    this.#test = t
    this.#driver = driver
    this.host = ownNamespace(t)
    this.leases = mkdtempSync(join(tmpdir(), 'fairlead-leases-'))
    t.teardown(() => rmSync(this.leases, { recursive: true, force: true }))
    const ipam = subnets.length > 0 ? this.ipam(...subnets) : undefined
    this.#basis = { cniVersion: '1.1.0', name: 'net', type: driver.name, ipam, ...basis }
  }

  /** A container's namespace. */
  pod(): Namespace { return anotherNamespace(this.#test) }

  /** A neighbour on the network of the host's link `up0`, which is made with these addresses, as `out0`. */
  uplink({ own = [], there = [] }: Readonly<Record<'own' | 'there', readonly string[]>>): Namespace {
    const outside = anotherNamespace(this.#test)
    connect(
      { ns: this.host, name: 'up0', addresses: own },
      { ns: outside, name: 'out0', addresses: there },
    )
    return outside
  }

  /** `ipam` of host-local. */
  ipam(...subnets: readonly string[]): Json {
    return { type: 'host-local', dataDir: this.leases, ranges: subnets.map(subnet => [{ subnet }]) }
  }

  config(extra: Json = {}): Json { return { ...this.#basis, ...extra } }

  /** One verb. @param pod undefined leaves CNI_NETNS empty @returns the result of an ADD */
  call(
    verb: string, pod: Namespace | undefined, config = this.config(),
    { containerId = 'c1', ifName = 'eth0', args = '', driver = this.#driver }: Circumstances = {},
  ): Json | undefined {
    let result: Json | undefined
    invoke(driver, {
      variables: {
        CNI_COMMAND: verb, CNI_CONTAINERID: containerId, CNI_NETNS: pod?.path ?? '', CNI_IFNAME: ifName, CNI_ARGS: args,
        CNI_PATH: resolve('build/bin'), PATH: process.env['PATH'],
      },
      stdin: () => new TextEncoder().encode(JSON.stringify(config)),
      executable: undefined,
      resident: () => undefined,
      deliver: made => { result = made },
      warn() {},
    })
    return result
  }

  /** Names of the host's links, without `lo`. */
  get links(): string[] { return this.host.link.list().map(({ name }) => name).filter(name => name !== 'lo') }

  /** The addresses that host-local has given out in a network. */
  recorded(network = 'net'): string[] {
    return readdirSync(join(this.leases, network)).filter(name => /[.:]/.test(name) && !name.startsWith('last'))
  }
}
