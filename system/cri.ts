// A kubelet's calls for one pod: CRI v1 (k8s.io/cri-api runtime/v1/api.proto) as unary gRPC over containerd's socket.
import { once } from 'node:events'
import { connect } from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { createConnection } from 'node:net'
import { decode, encode } from './protobuf.ts'
import type { Message } from './protobuf.ts'

/** A port of the machine that leads to one of the pod, tcp where nothing else is said; `hostIp` '' is all addresses. */
export type Port = {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol?: keyof typeof protocols
  readonly hostIp?: string
}

/** What a pod is made of: published ports and annotations, or the machine's own network. */
export type Pod = {
  readonly name: string
  readonly ports?: readonly Port[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly hostNetwork?: boolean
}

const protocols = { tcp: 0, udp: 1, sctp: 2 } as const

/** PortMapping. */
const portMapping = ({ hostPort, containerPort, protocol = 'tcp', hostIp = '' }: Port): Message =>
  [[1, protocols[protocol]], [2, containerPort], [3, hostPort], [4, hostIp]]

/** PodSandboxConfig; NamespaceMode NODE is 2. */
const sandbox = ({ name, ports = [], annotations = {}, hostNetwork }: Pod): Message => [
  [1, [[1, name], [2, `uid-${name}`], [3, 'default']]],
  [3, '/run/pod-logs'],
  ...ports.map(port => [5, portMapping(port)] as const),
  ...Object.entries(annotations).map(([key, value]) => [7, [[1, key], [2, value]]] as const),
  [8, [[2, [[1, hostNetwork ? [[1, 2]] : []]]]]],
]

/** A connection to the runtime service. */
export class RuntimeService {
  readonly #session: ClientHttp2Session

  constructor(socket: string) {
    this.#session = connect('http://localhost', { createConnection: () => createConnection(socket) })
  }

  /** Ends the connection. */
  close(): void { this.#session.destroy() }

  /** Starts a pod. @returns its id @throws Error with the runtime's words */
  async run(pod: Pod): Promise<string> {
    return String(decode(await this.#call('RunPodSandbox', [[1, sandbox(pod)]]), 1)[0])
  }

  /** The pod's addresses, the primary one first. */
  async addresses(id: string): Promise<string[]> {
    const [status] = decode(await this.#call('PodSandboxStatus', [[1, id]]), 1)
    const [network] = decode(status ?? Buffer.of(), 5)
    if (!network) return []
    return [...decode(network, 1), ...decode(network, 2).flatMap(further => decode(further, 1))].map(String)
  }

  /** Stops a pod, which takes its network away; a kubelet does so again and again. */
  async stop(id: string): Promise<void> {
    await this.#call('StopPodSandbox', [[1, id]])
  }

  /** Removes what is left of a stopped pod. containerd takes its network away once more. */
  async discard(id: string): Promise<void> {
    await this.#call('RemovePodSandbox', [[1, id]])
  }

  /** Stops and removes a pod. */
  async remove(id: string): Promise<void> {
    await this.stop(id)
    await this.discard(id)
  }

  async #call(method: string, message: Message): Promise<Buffer> {
    const path = `/runtime.v1.RuntimeService/${method}`
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
    const stream = this.#session.request(headers)
    // A refusal comes with the response's headers, success with its trailers.
    const outcome: IncomingHttpHeaders = {}
    for (const event of ['response', 'trailers'])
      stream.on(event, (received: IncomingHttpHeaders) => Object.assign(outcome, received))
    const body = encode(message)
    const prefix = Buffer.alloc(5)
    prefix.writeUInt32BE(body.length, 1)
    stream.end(Buffer.concat([prefix, body]))
    const closed = once(stream, 'close')
    const answer = Buffer.concat(await stream.toArray())
    await closed
    if (outcome['grpc-status'] !== '0') throw new Error(`${method}: ${String(outcome['grpc-message'])}`)
    return answer.subarray(prefix.length)
  }
}
