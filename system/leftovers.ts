// What a container's network leaves on a machine: links, firewall objects, reservations, caches, namespaces.
import { readdirSync } from 'node:fs'
import type { Test } from 'tap'
import type { Machine } from './machine.ts'

/** host-local keeps these for the network, not for a container. */
const kept = /\/(lock|last_reserved_ip\.\d+)$/

const folders = ['/var/lib/cni', '/run/cni', '/run/netns', '/var/lib/fairlead', '/run/fairlead']

const lines = (text: string): string[] => text.split('\n').map(line => line.trim()).filter(line => line !== '')

const links = (machine: Machine): string[] =>
  lines(machine.run('ip', '-brief', 'link')).map(line => line.split(/[\s@]/)[0] ?? '')

const files = (machine: Machine, folder: string): string[] => {
  if (machine.attempt('test', '-d', folder).status !== 0) return []
  const entries = readdirSync(machine.path(folder), { recursive: true, withFileTypes: true })
  const names = entries.filter(entry => !entry.isDirectory()).map(entry => `${entry.parentPath}/${entry.name}`)
  return names.filter(name => !kept.test(name)).map(name => name.slice(machine.path('').length)).sort()
}

/** Tables stand in the order of their making, which says nothing. */
const byTable = (ruleset: string): string => ruleset.split(/^(?=table )/m).map(table => table.trim()).sort().join('\n')

/** iptables-save prints counters of chains and the time of day; neither says that something is left. */
const rules = (machine: Machine): string[] =>
  ['nft list ruleset', 'iptables-save', 'ip6tables-save']
    .flatMap(command => lines(byTable(machine.run(...command.split(' ')))))
    .map(line => line.replace(/\[\d+:\d+\]|packets \d+ bytes \d+/g, ''))
    .filter(line => !line.startsWith('#'))

/** Whether the text has this very address, perhaps with a prefix length or a port. */
const names = (text: string, address: string): boolean =>
  new RegExp(`(?<![0-9a-f.:])${address.replaceAll('.', '\\.')}(?![0-9a-f])`).test(text)

/** Everything that containers can leave, as lists that compare. */
export type Leftovers = {
  readonly links: readonly string[]
  readonly files: readonly string[]
  readonly rules: readonly string[]
}

/** What is on the machine now; the bridges and rules that containers share are in it too. */
export const leftovers = (machine: Machine): Leftovers => ({
  links: links(machine),
  files: folders.flatMap(folder => files(machine, folder)),
  rules: rules(machine),
})

/**
 * Asserts that a network's first container, now removed, left the bridge and rules that name none of its addresses.
 * @param addresses what the container had
 * @returns what is on the machine now; later containers must leave exactly that
 */
export const opened = (t: Test, machine: Machine, before: Leftovers, bridge: string,
  addresses: readonly string[]): Leftovers => {
  const now = leftovers(machine)
  t.same(now.files, before.files, 'files after the first container')
  t.same(now.links, [...before.links, bridge], 'links after the first container')
  t.ok(addresses.length > 0, 'the first container had an address')
  for (const address of addresses)
    t.same(now.rules.filter(rule => names(rule, address)), [], `rules that name ${address}`)
  return now
}
