// Real packets: a neighbour of the host, a server in a container, and whether the one reaches the other.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Netns } from './netns.ts'
import { addNamespaces } from './pod.ts'
import type { World } from './world.ts'

export type Transport = 'tcp' | 'udp'

/** Addresses of the host on the wire to the neighbour; each may be the one that a port is published on. */
export const onWire = { ipv4: ['192.0.2.1', '192.0.2.3'], ipv6: ['2001:db8::1', '2001:db8::3'] } as const

/** Lays a wire from the host to a namespace of its own, and lets the host forward. */
export const neighbour = (world: World): Netns => {
  const { host } = world
  addNamespaces('neighbour')
  const there = new Netns('neighbour')
  host.ip('link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire0', 'netns', there.name)
  for (const address of onWire.ipv4) host.ip('address', 'add', `${address}/24`, 'dev', 'wire0')
  there.ip('address', 'add', '192.0.2.2/24', 'dev', 'wire0')
  const { ipv6 } = world.subject.features
  if (ipv6) {
    for (const address of onWire.ipv6) host.ip('address', 'add', `${address}/64`, 'dev', 'wire0', 'nodad')
    there.ip('address', 'add', '2001:db8::2/64', 'dev', 'wire0', 'nodad')
  }
  for (const netns of [host, there]) netns.ip('link', 'set', 'wire0', 'up')
  const settings = ['net.ipv4.ip_forward=1', ...(ipv6 ? ['net.ipv6.conf.all.forwarding=1'] : [])]
  host.exec('sysctl', '-q', '-w', ...settings)
  return there
}

const WORD = 'conformance'

const servers: Readonly<Record<Transport, (port: number) => string>> = {
  tcp: port => `require('node:net').createServer(peer => peer.on('error', () => {}).end('${WORD}'))
    .listen(${port}, '::', () => console.log('ready'))`,
  udp: port => `const socket = require('node:dgram').createSocket('udp6')
    socket.on('message', (text, from) => socket.send('${WORD}', from.port, from.address))
    socket.bind(${port}, '::', () => console.log('ready'))`,
}

const clients: Readonly<Record<Transport, (address: string, port: number) => string>> = {
  tcp: (address, port) => `require('node:net').connect(${port}, '${address}').on('data', text => console.log('' + text))
    .on('error', () => {})`,
  udp: (address, port) => `const socket = require('node:dgram').createSocket('udp${address.includes(':') ? 6 : 4}')
    socket.on('message', text => { console.log('' + text); process.exit() }).on('error', () => process.exit())
    socket.send('?', ${port}, '${address}')`,
}

/** Milliseconds within which an answer comes, on the same machine. */
const patience = 700

const words = (netns: Netns, script: string): string[] => [`--net=${netns.path}`, '--', process.execPath, '-e', script]

/** A server on all addresses of a namespace, until it is disposed of. */
export class Server implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(netns: Netns, port: number, transport: Transport = 'tcp'): Promise<Server> {
    const child = spawn('nsenter', words(netns, servers[transport](port)), { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return new Server(child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** Whether a Server answers at that address and port. */
export const answers = (from: Netns, address: string, port: number, transport: Transport = 'tcp'): boolean => {
  const script = `setTimeout(() => process.exit(), ${patience})\n${clients[transport](address, port)}`
  return spawnSync('nsenter', words(from, script), { encoding: 'utf8' }).stdout.includes(WORD)
}
