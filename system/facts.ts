// A host's network as a sorted list of plain facts, one line each, that can be subtracted from one another.

/** What one network namespace holds. */
export interface Space {
  name: string
  /** JSON, a line each: `ip address`, `tc qdisc`, and of both families `ip rule` and `ip route show table all`. */
  tables: string
  /** Files below /proc/sys/net with a colon and a line of their content. */
  sysctls: string
  /** `nft list ruleset`. */
  rules: string
}

export interface StoredFile {
  path: string
  content: string
}

interface Link {
  ifname: string
  address?: string
  mtu: number
  txqlen?: number
  flags: string[]
  master?: string
  ifalias?: string
  altnames?: string[]
  linkinfo?: { info_kind?: string }
  addr_info: { local: string, prefixlen: number, scope: string }[]
}

interface Route {
  dst: string
  gateway?: string
  dev?: string
  table?: string
}

interface Policy {
  priority: number
  src: string
  iif?: string
  oif?: string
  fwmark?: string
  table?: string
  l3mdev?: null
}

interface Discipline {
  kind: string
  handle: string
  dev: string
  options?: unknown
}

/** The kernel gives and takes these by itself, whenever a carrier comes or goes. */
const kernelsOwn = (text: string): boolean => /^(fe80:|ff00:|127\.|::1$)/.test(text)

/** Links of the host may have random hardware addresses. */
function linkFacts(link: Link, inPod: boolean): string[] {
  const { ifname, mtu, txqlen, flags, master, ifalias, altnames = [], linkinfo, addr_info: addresses } = link
  const kind = linkinfo?.info_kind ?? ''
  const modes = flags.filter((flag) => ['UP', 'PROMISC', 'ALLMULTI'].includes(flag)).map((flag) => flag.toLowerCase())
  const address = inPod && link.address
  const state = [`mtu ${mtu}`, `queue ${txqlen}`, address, master && `master ${master}`, ...modes]
  return [
    ['link', ifname, kind, ...kind === 'bridge' ? [] : [...state, ifalias && `alias ${ifalias}`]]
      .filter(Boolean).join(' '),
    ...altnames.map((name) => `altname ${ifname} ${name}`),
    ...addresses.filter(({ local }) => !kernelsOwn(local))
      .map(({ local, prefixlen }) => `address ${ifname} ${local}/${prefixlen}`),
  ]
}

function routeFact({ dst, gateway, dev, table }: Route): string[] {
  if (kernelsOwn(dst) || table === 'local') return []
  const words = [dst, gateway && `via ${gateway}`, `dev ${dev ?? ''}`, table && `table ${table}`]
  return [`route ${words.filter(Boolean).join(' ')}`]
}

function policyFact({ priority, src, iif, oif, fwmark, table, l3mdev }: Policy): string {
  const target = l3mdev === undefined ? table : '[l3mdev-table]'
  const marks = [iif && `iif ${iif}`, oif && `oif ${oif}`, fwmark && `mark ${fwmark}`]
  const words = [`from ${src}`, ...marks, `lookup ${target}`]
  return `policy ${priority} ${words.filter(Boolean).join(' ')}`
}

/** The kernel's default, which has no handle, comes and goes with the link. */
function disciplineFact({ kind, handle, dev, options }: Discipline): string[] {
  return handle === '0:' ? [] : [`qdisc ${dev} ${kind} ${handle} ${JSON.stringify(options)}`]
}

/** What counts by itself; and on the host what forwarding brings about, and what comes and goes with a link. */
const unsettled = /conntrack_count|\/(conf|neigh)\/(?!all|default).*\/|ip_forward|forwarding|accept_redirects/

function sysctlFacts(sysctls: string, inPod: boolean): string[] {
  const lines = sysctls.split('\n').filter((line) => line !== '' && !(inPod ? /conntrack_count/ : unsettled).test(line))
  return lines.map((line) => `sysctl ${line.replace('/proc/sys/net/', '').replace(/\s+/g, ' ')}`)
}

/** Each rule and each element of a set with the table and chain around it; without counters and random addresses. */
function ruleFacts(rules: string): string[] {
  const around: string[] = []
  return rules.split('\n').flatMap((raw) => {
    const text = raw.trim().replace(/packets \d+ bytes \d+/g, '').replace(/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, 'MAC')
    if (text === '' || text.startsWith('#')) return []
    if (text === '}') {
      around.pop()
      return []
    }
    if (text.endsWith('{') && !text.includes('elements')) around.push(text.slice(0, -2))
    const parts = text.replace(/^elements = \{|\}$/g, '').split(',').map((part) => part.trim())
    return parts.filter((part) => part !== '').map((part) => `rule ${around.join(' / ')}: ${part}`)
  })
}

/**
 * Counters and caches of a network, not of a container: content changes with every address, an index has its own
 * name.
 */
const counter = /\/(lock|last_reserved_ip\.\d+|fairlead\/host-local\/[\d-]+)$/

function fileFact({ path, content }: StoredFile): string {
  if (!counter.test(path)) return `file ${path} ${JSON.stringify(content)}`
  return `file ${path.replace(/[\d-]+$/, (number) => path.includes('/run/fairlead/') ? 'INDEX' : number)}`
}

/**
 * What networks share between containers and keep when the last one has gone: for tests whose bridge is test0, whose
 * subnets are 10.77.0.0/24 and fd77::/64, and whose containers' names begin with `test-`.
 */
const shared = [
  /^host: link test0 bridge$/,
  /^host: address test0 /,
  /^host: route (10\.77\.0\.0\/24|fd77::\/64) dev test0$/,
  /^host: rule (?!.*(10\.77\.0\.[1-9]|fd77::[1-9a-f]|test-))/,
  /^file .*\/(lock|last_reserved_ip\.\d+|host-local\/INDEX)$/,
  // The kernel makes them with the first VRF of a namespace, and once only.
  /^pod: policy 1000 from all lookup \[l3mdev-table\]$/,
]

/** Whether a fact belongs to a network and not to a container. */
export function isShared(fact: string): boolean {
  return shared.some((pattern) => pattern.test(fact))
}

/** Everything in these namespaces and files. */
export function factsOf(spaces: Space[], files: StoredFile[]): string[] {
  const network = spaces.flatMap(({ name, tables, sysctls, rules }) => {
    const inPod = name !== 'host'
    const parsed: unknown[] = tables.trim().split('\n').map((text) => JSON.parse(text))
    const [links, disciplines, policies4, policies6, ...routes] =
      parsed as [Link[], Discipline[], Policy[], Policy[], ...Route[][]]
    const facts = [
      ...links.flatMap((link) => linkFacts(link, inPod)),
      ...disciplines.flatMap(disciplineFact),
      ...[...policies4, ...policies6].map(policyFact),
      ...routes.flat().flatMap(routeFact),
      ...sysctlFacts(sysctls, inPod),
      ...ruleFacts(rules),
    ]
    return facts.map((fact) => `${name}: ${fact}`)
  })
  return [...network, ...files.map(fileFact)].sort()
}

/** What is in `facts` and not in the others. */
export function without(facts: string[], ...others: string[][]): string[] {
  const known = new Set(others.flat())
  return facts.filter((fact) => !known.has(fact))
}
