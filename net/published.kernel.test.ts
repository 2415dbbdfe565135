// Published ports in numbers, side by side, and as nft reads them.
import { test } from 'tap'
import { atOnce } from '#tools/at-once.ts'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Publication } from './publication.ts'
import * as published from './published.ts'

const skip = lacks('nft') || lacks('ip')

const ruleset = (host: Namespace): string => output(host, 'nft', ['list', 'ruleset'])

/** A host with a bridge, so that it has a way to containers. */
const hostWithBridge = (t: Parameters<typeof ownNamespace>[0]): Namespace => {
  const host = ownNamespace(t)
  host.link.add({ name: 'br0', info: { kind: 'bridge' }, up: true })
  for (const address of ['10.1.0.1/16', 'fd00:1::1/64'])
    host.addr.add({ index: host.link.get('br0').index, address, noDad: true })
  return host
}

const publicationOf = (
  number: number, ports: readonly Partial<Mapping>[], more: Partial<Attachment> = {},
): Publication => {
  const address = `10.1.${number >> 8}.${number & 255}`
  const attachment = { network: 'net', containerId: `c${number}`, ifName: 'eth0', ...more }
  return {
    attachment, addresses: [`${address}/16`], snat: true, masqAll: false, markMasqBit: 13,
    externalSetMarkChain: undefined, conditions: { ipv4: [], ipv6: [] },
    mappings: ports.map(port => ({
      protocol: 'tcp', hostIp: undefined, hostPort: 10000 + number, containerIp: address, containerPort: 80, ...port,
    })),
  }
}

test('what is listed can be read back', { skip }, async t => {
  const host = hostWithBridge(t)
  const long = { network: 'n'.repeat(200), containerId: 'c'.repeat(200), ifName: 'we"ird' }
  const all = [
    publicationOf(2, [{}, { hostIp: '192.0.2.1', protocol: 'udp' }], long),
    { ...publicationOf(3, [{}]), conditions: { ipv4: ['ip saddr != 10.0.0.0/8'], ipv6: [] } },
    publicationOf(4, [{ hostIp: '127.0.0.1', protocol: 'sctp' }]),
    publicationOf(6, [{ hostIp: '127.0.0.1', hostPort: 10004, protocol: 'sctp' }],
      { containerId: 'c4', network: 'other' }),
    { ...publicationOf(5, [{}]), masqAll: true },
  ]
  for (const publication of all) published.add(host, publication)
  const listed = ruleset(host)
  output(host, 'nft', ['flush', 'ruleset'])
  output(host, 'nft', ['-f', '-'], listed)
  t.equal(ruleset(host), listed)
  for (const publication of all) published.check(host, publication)
  for (const { attachment, mappings } of all) published.remove(host, attachment, mappings)
  t.equal(ruleset(host), '')
})

/** The median of what a step takes, in milliseconds. */
const timed = (count: number, step: (i: number) => void): number => {
  const times = Array.from({ length: count }, (_, i) => {
    const start = performance.now()
    step(i)
    return performance.now() - start
  })
  return times.sort((one, other) => one - other)[count >> 1]!
}

test('a thousand published ports cost as much as ten', { skip }, async t => {
  const host = hostWithBridge(t)
  const add = (number: number): void => published.add(host, publicationOf(number, [{}]))
  const remove = (number: number): void => {
    const { attachment, mappings } = publicationOf(number, [{}])
    published.remove(host, attachment, mappings)
  }
  const measured = (): readonly number[] =>
    [timed(25, i => add(30000 + i)), timed(25, i => remove(30000 + i))]
  for (let i = 2; i < 12; i++) add(i)
  measured()
  const few = measured()
  for (let i = 12; i < 1002; i++) add(i)
  const many = measured()
  const show = (times: readonly number[]): string => times.map(time => `${time.toFixed(2)} ms`).join(' and ')
  t.comment(`ADD and DEL beside 10: ${show(few)}; beside 1,000: ${show(many)}`)
  for (const [i, name] of ['ADD', 'DEL'].entries()) t.ok(many[i]! < 3 * few[i]! + 1, name)

  const ports = Array.from({ length: 1000 }, (_, i) => ({ hostPort: 40000 + i, containerPort: 1000 + i }))
  const range = publicationOf(2000, ports)
  const start = performance.now()
  published.add(host, range)
  published.check(host, range)
  published.remove(host, range.attachment, range.mappings)
  t.comment(`a range of 1,000 ports added, checked and removed: ${(performance.now() - start).toFixed()} ms`)
  published.collect(host, 'net', [])
  t.equal(ruleset(host), '')
})

test('many at once', { skip }, async t => {
  const host = hostWithBridge(t)
  const script = `
    import { Namespace } from '${import.meta.resolve('./namespace.ts')}'
    import * as published from '${import.meta.resolve('./published.ts')}'
    using host = Namespace.host()
    const own = Number(process.env.OWN)
    let refused = 0
    for (let round = 0; round < 20; round++) for (let i = 0; i < 4; i++) {
      const containerIp = \`10.1.\${own}.\${i}\`
      // Everybody wants the same one now and then.
      const mappings = [2000 + 10 * own + i, ...i === 3 ? [7777] : []].map(hostPort =>
        ({ protocol: 'tcp', hostIp: round % 2 ? undefined : '192.0.2.1', hostPort, containerIp, containerPort: 80 }))
      const attachment = { network: 'net', containerId: \`c\${own}-\${i}\`, ifName: 'eth0' }
      const publication = { attachment, mappings, addresses: [containerIp + '/16'], snat: true, masqAll: false,
        markMasqBit: 13, conditions: { ipv4: [], ipv6: [] } }
      try {
        published.add(host, publication)
        published.check(host, publication)
      } catch (error) {
        if (error.name !== 'PortTaken') throw error
        refused++
      }
      if (round < 19 || i > 0) published.remove(host, attachment, i % 2 ? mappings : undefined)
    }`
  const results = await atOnce(script, Array.from({ length: 6 }, (_, own) => ({ OWN: `${own}` })))
  t.same(results, results.map(() => '0'))
  const left = ruleset(host).match(/tcp \. \d+ comment/g)
  t.equal(left?.length, 6, 'those that were to stay')
  published.collect(host, 'net', [])
  t.equal(ruleset(host), '')
  t.equal(output(host, 'sysctl', ['-n', 'net.ipv4.conf.br0.route_localnet']), '0\n')
})
