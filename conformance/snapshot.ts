// Everything that a plugin may leave behind, as sorted lines of text, so that two moments can be compared.

import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { isObject, jsonLines } from './json.ts'
import { command, type KernelRoute, type Link, type Netns } from './netns.ts'

export type Snapshot = readonly string[]

// Settings of the host and of links that CNI plugins are known to write; a changed value is a side effect.
const sysctls = 'ipv4/ip_forward ipv4/conf/*/route_localnet ipv4/conf/*/arp_notify ipv4/conf/*/log_martians ' +
  'ipv6/conf/*/forwarding ipv6/conf/*/accept_ra ipv6/conf/*/disable_ipv6'

// Without a table, of nft or of the old kind, iptables-save would print nothing.
const inside = `
ruleset=$(nft -j list ruleset 2>/dev/null)
echo @@ nft
echo "$ruleset"
old=
read -r old 2>/dev/null < /proc/self/net/ip_tables_names
[ "$old" ] || read -r old 2>/dev/null < /proc/self/net/ip6_tables_names
case $ruleset in *chain*) old=nft ;; esac
if [ "$old" ]; then
  echo @@ iptables
  iptables-save 2>/dev/null
  echo @@ ip6tables
  ip6tables-save 2>/dev/null
fi
echo @@ sysctl
cd /proc/sys/net && grep -H . ${sysctls} 2>/dev/null
true`

const observe = (name: string): string => `
echo '@@ ip'
printf 'address show\\nroute show table all\\nrule show\\n' | ip -n ${name} -j -d -batch -
ip -n ${name} -6 -j rule show
echo '@@ qdisc'
tc -n ${name} -j qdisc show
nsenter --net=/run/netns/${name} sh -c "$inside"`

const linkLines = (link: Link): string[] => {
  const { ifname, linkinfo, mtu, address, master = '', ifalias = '', promiscuity, flags } = link
  const up = flags.includes('UP') ? 'up' : 'down'
  const kind = linkinfo?.info_kind ?? 'plain'
  const hairpin = linkinfo?.info_slave_data?.['hairpin'] ? 'hairpin' : ''
  const port = `master ${master} ${hairpin} promiscuity ${promiscuity}`
  return [
    `link ${ifname} ${kind} mtu ${mtu} ${address} ${up} ${port} alias ${ifalias}`,
    ...link.addr_info
      .filter(({ family, scope }) => family === 'inet' || scope !== 'link')
      .map(({ local, prefixlen }) => `address ${local}/${prefixlen} on ${ifname}`),
  ]
}

const routeLines = ({ dst, gateway = '', dev = '', table = 'main', scope = '', metric }: KernelRoute): string[] =>
  table === 'local' || /^(fe80|ff00):/.test(dst)
    ? [] : [`route ${dst} via ${gateway} dev ${dev} table ${table} scope ${scope} metric ${metric ?? ''}`]

const networkLines = (text: string): string[] => jsonLines(text).flat().filter(isObject).flatMap(entry => {
  if ('ifname' in entry) return linkLines(entry as unknown as Link)
  if ('priority' in entry) return [`rule ${JSON.stringify(entry)}`]
  return 'dst' in entry ? routeLines(entry as unknown as KernelRoute) : []
})

// The kernel gives noqueue to a link by itself when it comes up.
const qdiscLines = (text: string): string[] => jsonLines(text).flat().filter(isObject)
  .filter(({ kind }) => kind !== 'noqueue')
  .map(({ kind, handle, dev, options }) => `qdisc ${kind} ${handle} on ${dev} ${JSON.stringify(options)}`)

// Handles and counters of nft change without anybody's doing.
const nftLines = (text: string): string[] => jsonLines(text).filter(isObject)
  .flatMap(({ nftables }) => (Array.isArray(nftables) ? nftables.filter(isObject) : []))
  .flatMap(object => Object.entries(object))
  .filter(([kind]) => kind !== 'metainfo')
  .map(([kind, value]) => `nft ${kind} ${JSON.stringify(value, (key, inner: unknown) =>
    key === 'handle' || key === 'packets' || key === 'bytes' ? undefined : inner)}`)

// Of iptables-save: each rule and chain with its table; comments carry the time.
const iptablesLines = (program: string, text: string): string[] => {
  let table = ''
  return text.split('\n').flatMap(line => {
    if (line.startsWith('*')) table = line.slice(1)
    if (line.startsWith('-A ')) return [`${program} ${table} ${line}`]
    return line.startsWith(':') ? [`${program} ${table} chain ${line.slice(1).replace(/ \[.*/, '')}`] : []
  })
}

/** Links, addresses, routes, rules, qdiscs, firewall rules and sysctls of some namespaces. */
const namespaceLines = (namespaces: readonly Netns[]): string[] => {
  const script = namespaces.map(({ name }) => `echo '@@@ ${name}'${observe(name)}`).join('\n')
  const output = command('sh', ['-c', `inside='${inside}'\n${script}`])
  return output.split(/^@@@ /m).slice(1).flatMap(part => {
    const name = part.slice(0, part.indexOf('\n'))
    const section = (title: string): string => part.split(`@@ ${title}\n`)[1]?.split(/^@@ /m)[0] ?? ''
    return [
      ...networkLines(section('ip')),
      ...qdiscLines(section('qdisc')),
      ...nftLines(section('nft')),
      ...iptablesLines('iptables', section('iptables')),
      ...iptablesLines('ip6tables', section('ip6tables')),
      ...section('sysctl').split('\n').filter(Boolean).map(line => `sysctl ${line}`),
    ].map(line => `${name} ${line}`)
  })
}

const fileLines = (path: string, skip: (path: string) => boolean): string[] => {
  if (skip(path)) return []
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return []
  if (stat.isDirectory())
    return [`directory ${path}`, ...readdirSync(path).flatMap(name => fileLines(join(path, name), skip))]
  if (stat.isSymbolicLink()) return [`symlink ${path} to ${readlinkSync(path)}`]
  if (!stat.isFile()) return [`special file ${path}`]
  // Reading a bound namespace fails; that it is there is all that matters.
  if (path.startsWith('/run/netns/')) return [`file ${path} ${stat.size}`]
  return [`file ${path} ${createHash('sha1').update(readFileSync(path)).digest('hex').slice(0, 12)}`]
}

/** Names of the processes of this process namespace beside the runner's own; the ones that have ended do not count. */
export const processes = (): { readonly id: number; readonly name: string }[] =>
  readdirSync('/proc').filter(entry => /^\d+$/.test(entry)).map(Number)
    .filter(id => id !== 1 && id !== process.pid)
    .flatMap(id => {
      try {
        const [, name = '', state = ''] = /\((.*)\) (\w)/s.exec(readFileSync(`/proc/${id}/stat`, 'utf8')) ?? []
        return state === 'Z' ? [] : [{ id, name }]
      } catch {
        return [] // ended between the two looks
      }
    })

/** What there is now in the namespaces, below the directories (paths for which `skip` holds left out), and running. */
export const takeSnapshot = (
  namespaces: readonly Netns[], directories: readonly string[], skip: (path: string) => boolean,
): Snapshot => [
  ...namespaceLines(namespaces),
  ...directories.flatMap(directory => fileLines(directory, skip)),
  ...processes().map(({ name }) => `process ${name}`),
].sort()

/** What has come (`+`) and gone (`-`) between two snapshots. */
export const differences = (before: Snapshot, after: Snapshot): string[] => {
  const gone = [...before]
  const come = after.filter(line => {
    const at = gone.indexOf(line)
    if (at >= 0) gone.splice(at, 1)
    return at < 0
  })
  return [...gone.map(line => `- ${line}`), ...come.map(line => `+ ${line}`)]
}
