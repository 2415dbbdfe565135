// One network namespace, looked at with ip, tc, nft and bridge.

import { spawnSync } from 'node:child_process'
import { isObject, jsonLines, type JsonObject } from './json.ts'

/** Runs a command of the system; throws with its stderr when it fails. Returns its stdout. */
export const command = (program: string, args: readonly string[], input = ''): string => {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', input, maxBuffer: 1 << 26 })
  if (error) throw error
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`)
  return stdout
}

export interface Address {
  readonly local: string
  readonly prefixlen: number
  readonly family: string
  readonly scope: string
  readonly tentative?: boolean
  readonly dadfailed?: boolean
}

/** A link as `ip -d -j address` prints it. */
export interface Link {
  readonly ifindex: number
  readonly ifname: string
  readonly link?: string
  readonly link_index?: number
  readonly link_netnsid?: number
  readonly flags: readonly string[]
  readonly mtu: number
  readonly address?: string
  readonly master?: string
  readonly ifalias?: string
  readonly promiscuity?: number
  readonly linkinfo?: {
    readonly info_kind?: string
    readonly info_data?: JsonObject
    readonly info_slave_data?: JsonObject
  }
  readonly addr_info: readonly Address[]
}

export interface KernelRoute {
  readonly dst: string
  readonly gateway?: string
  readonly dev?: string
  readonly table?: string
  readonly scope?: string
  readonly type?: string
  readonly metric?: number
  readonly prefsrc?: string
  readonly metrics?: readonly JsonObject[]
}

export class Netns {
  readonly name: string
  readonly path: string

  /** `name` is that of a namespace below /run/netns. */
  constructor(name: string) {
    this.name = name
    this.path = `/run/netns/${name}`
  }

  /** Runs `ip` with these words inside, for its effect. */
  ip(...words: string[]): void {
    command('ip', ['-n', this.name, ...words])
  }

  /** Runs a program inside; the cgroup, process and mount namespaces stay those of the runner. Returns its stdout. */
  exec(program: string, ...args: string[]): string {
    return command('nsenter', [`--net=${this.path}`, '--', program, ...args])
  }

  /** What `ip -j` prints for these words, as a list. */
  list(...words: string[]): unknown[] {
    return jsonLines(command('ip', ['-n', this.name, '-j', '-d', ...words])).flat()
  }

  links(): Link[] {
    return this.list('address', 'show') as Link[]
  }

  link(name: string): Link | undefined {
    return this.links().find(link => link.ifname === name)
  }

  /** Addresses of a link in the form `10.0.0.1/24`, link-local ones left out. */
  addresses(link: string): string[] {
    return (this.link(link)?.addr_info ?? [])
      .filter(address => !(address.family === 'inet6' && address.scope === 'link'))
      .map(address => `${address.local}/${address.prefixlen}`)
  }

  /** Routes of every table and both families, the local table and link-local destinations left out. */
  routes(): KernelRoute[] {
    const routes = this.list('route', 'show', 'table', 'all') as KernelRoute[]
    return routes.filter(route => route.table !== 'local' && !/^(fe80|ff00):/.test(route.dst))
  }

  rules(): JsonObject[] {
    return [...this.list('rule', 'show'), ...this.list('-6', 'rule', 'show')].filter(isObject)
  }

  qdiscs(): JsonObject[] {
    return jsonLines(command('tc', ['-n', this.name, '-j', 'qdisc', 'show'])).flat().filter(isObject)
  }

  /** The text of `nft list ruleset` and of iptables-save, whichever are installed. */
  firewall(): string {
    const script = 'nft list ruleset 2>/dev/null; iptables-save 2>/dev/null; ip6tables-save 2>/dev/null; true'
    return this.exec('sh', '-c', script)
  }
}
