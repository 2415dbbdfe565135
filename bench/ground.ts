// Where one subject does one workload: network namespaces of a host, of containers, and of a client beyond the host.
import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'

/** The host's address on the wire to the client, IPv4. */
export const hostAddress = '192.0.2.1'

function ip(...words: string[]): void {
  const { status, stderr, error } = spawnSync('ip', words, { encoding: 'utf8' })
  if (error || status !== 0) throw error ?? new Error(`ip ${words.join(' ')}: ${stderr}`)
}

export class Ground {
  readonly #prefix: string
  readonly #names: string[] = []
  /** Path of the host's namespace. */
  readonly host: string

  /** `prefix` begins the names of all namespaces. */
  constructor(prefix: string) {
    this.#prefix = prefix
    this.host = this.add('host')
  }

  /** A further namespace, with `lo` up. @returns its path */
  add(role: string): string {
    const name = `${this.#prefix}-${role}`
    ip('netns', 'add', name)
    this.#names.push(name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
    return `/run/netns/${name}`
  }

  /** A link to stack others on, with the end of a cable that nobody is at. */
  layUplink(name: string): void {
    ip('-n', this.#hostName, 'link', 'add', name, 'up', 'type', 'veth', 'peer', 'name', `${name}-far`)
    ip('-n', this.#hostName, 'link', 'set', `${name}-far`, 'up')
  }

  /** A bridge with an address such as `10.88.0.1/16`. */
  layBridge(name: string, address: string): void {
    ip('-n', this.#hostName, 'link', 'add', name, 'up', 'type', 'bridge')
    ip('-n', this.#hostName, 'address', 'add', address, 'dev', name)
  }

  /** A client at the other end of a wire, which knows the host's address only. @returns the path of its namespace */
  addClient(): string {
    const path = this.add('client')
    const [host, client] = [this.#hostName, basename(path)]
    ip('-n', host, 'link', 'add', 'wire0', 'up', 'type', 'veth', 'peer', 'name', 'wire0', 'netns', client)
    ip('-n', client, 'link', 'set', 'wire0', 'up')
    ip('-n', host, 'address', 'add', `${hostAddress}/24`, 'dev', 'wire0')
    ip('-n', client, 'address', 'add', '192.0.2.2/24', 'dev', 'wire0')
    return path
  }

  get #hostName(): string {
    return basename(this.host)
  }

  close(): void {
    for (const name of this.#names) ip('netns', 'del', name)
  }
}

/** Whether the kernel can make links of this kind. */
export function canMake(kind: string): boolean {
  const words = ['link', 'add', 'link', 'lo', 'name', 'probe0', 'type', kind]
  const { stderr } = spawnSync('ip', words, { encoding: 'utf8' })
  spawnSync('ip', ['link', 'del', 'probe0'])
  return !/not supported|unknown device type/i.test(stderr)
}

/** The address `offset` places after that of `subnet`, IPv4. */
export function addressIn(subnet: string, offset: number): string {
  const octets = (subnet.split('/')[0] ?? '').split('.').map(Number)
  const number = octets.reduce((sum, octet) => sum * 256 + octet, 0) + offset
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}
