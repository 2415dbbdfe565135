// Bulk TCP through the limits of bandwidth: what arrives is what was configured, to the container and from it.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { test } from 'tap'
import type { Test } from 'tap'
import { kernelLacks } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { must } from './faults/scene.ts'
import { Host } from './host.ts'
import type { Configuration } from './host.ts'

enterPrivateNamespaces()

/** Of the configured rate; TCP/IP and Ethernet headers, which are counted, take 4.4 % (IPv6 5.7 %) of full packets. */
const tolerance = 0.1
/** Milliseconds that one measurement may take. */
const patience = 20_000
/** What is lost and comes again holds up what came meanwhile, so that a short look may see too much or too little. */
const attempts = 3

const bridge: Configuration = {
  cniVersion: '1.1.0',
  name: 'throughput',
  type: 'bridge',
  bridge: 'test0',
  isGateway: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]] },
}

/** One pod for each family: addresses of the pod and of the host. */
const families = [['10.77.0.2', '10.77.0.1'], ['fd77::3', 'fd77::1']] as const

interface Limits {
  /** Bits per second, and bits. */
  readonly ingressRate: number
  readonly ingressBurst: number
  readonly egressRate: number
  readonly egressBurst: number
}

function start(netns: string, ...words: string[]): ChildProcess {
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', `${import.meta.dirname}/stream.ts`]
  return spawn('nsenter', [`--net=/run/netns/${netns}`, ...program, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'], timeout: patience, killSignal: 'SIGKILL',
  })
}

/** What must have passed before the rate counts: the burst, and what TCP needs to settle. */
const settling = (rate: number, burst: number): number => burst / 4 + rate / 8 * 0.2

/** Milliseconds that are measured: at a low rate a few packets make a difference. */
const duration = (rate: number): number => rate < 100e6 ? 1200 : 600

/** Bits per second of one transfer through a limit. */
async function measure(from: string, to: string, address: string, rate: number, burst: number): Promise<number> {
  const receiver = start(to, 'receive', address, '5000', `${settling(rate, burst)}`, `${duration(rate)}`)
  const ended = once(receiver, 'close')
  let text = ''
  receiver.stdout?.setEncoding('utf8').on('data', (words: string) => { text += words })
  if (receiver.stdout) await once(receiver.stdout, 'data')
  const sender = start(from, 'send', address, '5000')
  const left = once(sender, 'close')
  await ended
  sender.kill()
  await left
  return Number(/^[\d.]+$/m.exec(text)?.[0])
}

/** The rate of the first transfer that is as fast as it should be, or of the last one. */
async function within(t: Test, name: string, configured: number, transfer: () => Promise<number>): Promise<void> {
  let ratio = 0
  for (let attempt = 1; attempt <= attempts && !(Math.abs(ratio - 1) < tolerance); attempt += 1) {
    ratio = await transfer() / configured
  }
  t.ok(Math.abs(ratio - 1) < tolerance, `${name}: ${(100 * ratio).toFixed(1)} % of ${configured / 1e6} Mbit/s`)
}

/** Attaches each pod to the bridge with these limits and measures both at once, one direction after the other. */
async function limited(t: Test, keys: Record<string, unknown>, limits: Limits): Promise<void> {
  const host = new Host(families.length)
  const { cniVersion, name } = bridge
  for (const pod of host.pods) {
    const to = { id: `test-${pod}`, netns: pod, interface: 'eth0' }
    const prevResult: unknown = JSON.parse(must(host.call('ADD', bridge, to)).stdout)
    must(host.call('ADD', { cniVersion, name, type: 'bandwidth', ...keys, prevResult }, to))
  }
  const { ingressRate, ingressBurst, egressRate, egressBurst } = limits
  await Promise.all(families.map(([podIp], i) => within(t, `to ${podIp}`, ingressRate, () =>
    measure(host.name, host.pods[i] ?? '', podIp, ingressRate, ingressBurst))))
  await Promise.all(families.map(([podIp, hostIp], i) => within(t, `from ${podIp}`, egressRate, () =>
    measure(host.pods[i] ?? '', host.name, hostIp, egressRate, egressBurst))))
  host.close()
}

test('limits that are measured', { skip: kernelLacks('ifb'), timeout: 0 }, async (t) => {
  await t.test('of the configuration, with a burst below what TCP sends in one piece', { timeout: 0 }, async (t) => {
    const limits = { ingressRate: 20e6, ingressBurst: 400e3, egressRate: 30e6, egressBurst: 400e3 }
    await limited(t, limits, limits)
  })
  await t.test('of the runtime', { timeout: 0 }, async (t) => {
    const bandwidth = { ingressRate: 200e6, ingressBurst: 4e6, egressRate: 150e6, egressBurst: 4e6 }
    await limited(t, { runtimeConfig: { bandwidth } }, bandwidth)
  })
  await t.test('with a burst below one packet', { timeout: 0 }, async (t) => {
    const limits = { ingressRate: 20e6, ingressBurst: 8e3, egressRate: 20e6, egressBurst: 8e3 }
    await limited(t, limits, limits)
  })
  await t.test('and none without limits', { timeout: 0 }, async (t) => {
    const host = new Host(1)
    const pod = host.pods[0] ?? ''
    must(host.call('ADD', bridge, { id: 'test-subject', netns: pod, interface: 'eth0' }))
    const rate = await measure(host.name, pod, '10.77.0.2', 200e6, 0)
    t.ok(rate > 400e6, `${(rate / 1e6).toFixed(0)} Mbit/s: the limits make the difference`)
    host.close()
  })
})
