// A host's network as a sorted list of plain facts, one line each, that can be subtracted from one another.

/** What one network namespace holds: JSON of `ip address` and `ip route` (4 and 6), text of `nft list ruleset`. */
export interface Space {
  name: string
  tables: string
  rules: string
}

export interface StoredFile {
  path: string
  content: string
}

interface Link {
  ifname: string
  mtu: number
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
}

/** The kernel gives and takes these by itself, whenever a carrier comes or goes. */
const kernelsOwn = (text: string): boolean => /^(fe80:|ff00:|127\.|::1$)/.test(text)

function linkFacts(link: Link): string[] {
  const { ifname, mtu, flags, master, ifalias, altnames = [], linkinfo, addr_info: addresses } = link
  const kind = linkinfo?.info_kind ?? ''
  const up = flags.includes('UP') && 'up'
  const state = [`mtu ${mtu}`, master && `master ${master}`, up, ifalias && `alias ${ifalias}`]
  return [
    ['link', ifname, kind, ...kind === 'bridge' ? [] : state].filter(Boolean).join(' '),
    ...altnames.map((name) => `altname ${ifname} ${name}`),
    ...addresses.filter(({ local }) => !kernelsOwn(local))
      .map(({ local, prefixlen }) => `address ${ifname} ${local}/${prefixlen}`),
  ]
}

function routeFact({ dst, gateway, dev }: Route): string[] {
  return kernelsOwn(dst) ? [] : [`route ${dst}${gateway === undefined ? '' : ` via ${gateway}`} dev ${dev ?? ''}`]
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
]

/** Whether a fact belongs to a network and not to a container. */
export function isShared(fact: string): boolean {
  return shared.some((pattern) => pattern.test(fact))
}

/** Everything in these namespaces and files. */
export function factsOf(spaces: Space[], files: StoredFile[]): string[] {
  const network = spaces.flatMap(({ name, tables, rules }) => {
    const parsed: unknown[] = tables.trim().split('\n').map((text) => JSON.parse(text))
    const [links, ...routes] = parsed as [Link[], ...Route[][]]
    const facts = [...links.flatMap(linkFacts), ...routes.flat().flatMap(routeFact), ...ruleFacts(rules)]
    return facts.map((fact) => `${name}: ${fact}`)
  })
  return [...network, ...files.map(fileFact)].sort()
}

/** What is in `facts` and not in the others. */
export function without(facts: string[], ...others: string[][]): string[] {
  const known = new Set(others.flat())
  return facts.filter((fact) => !known.has(fact))
}
