// A host and its containers as the kernel knows them: network namespaces, and the folders that plugins keep files in.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { factsOf } from './facts.ts'

/** The plugins under test. */
export const plugins = resolve(process.env['FAIRLEAD_BIN'] ?? 'build/bin')

/** A network configuration; `name`, `type` and `cniVersion` are in it. */
export type Configuration = Record<string, unknown> & { type: string }

/** One container's place in a network. */
export interface Attachment {
  id: string
  /** Name of the namespace in /run/netns, or '' for one that is gone. */
  netns: string
  interface: string
}

/** How a plugin ended and what it said. */
export interface Reply {
  status: number | null
  signal: string | null
  stdout: string
  stderr: string
}

const folders = ['/run', '/var/lib']

/** Neither a network's nor a container's: iptables' lock and the namespaces that the test itself makes. */
const foreign = /^\/run\/(netns|lock|xtables\.lock)/

/** Runs a command that must succeed. @throws Error with its words otherwise */
export function run(command: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8', maxBuffer: 1e8 })
  if (error || status !== 0) throw error ?? new Error(`${command} ${words.join(' ')}: ${stderr}`)
  return stdout
}

/** Several commands of ip(8) by one process, which costs more than most of them. */
function batch(...lines: string[]): void {
  const { status, stderr, error } = spawnSync('ip', ['-batch', '-'], { input: lines.join('\n'), encoding: 'utf8' })
  if (error || status !== 0) throw error ?? new Error(`ip ${lines.join('; ')}: ${stderr}`)
}

const families = (question: string): string => `ip -j -4 ${question}; ip -j -6 ${question}`

const tables = `ip -d -j address; tc -j qdisc; ${families('rule')}; ${families('route show table all')}`

/** Some of them may not be read. */
const sysctls = 'grep -rs "" /proc/sys/net'

/** What stands between the answers of one look at several namespaces. */
const border = '----'

/** Milliseconds after which a plugin counts as hanging. */
const patience = 30_000

function environment(verb: string, { id, netns, interface: name }: Attachment): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    CNI_COMMAND: verb,
    CNI_CONTAINERID: id,
    CNI_NETNS: netns === '' ? '' : `/run/netns/${netns}`,
    CNI_IFNAME: name,
    CNI_PATH: plugins,
  }
}

/** A plugin need not read its standard input to the end. */
const unread = (error: Error): boolean => 'code' in error && error.code === 'EPIPE'

let hosts = 0

/** A fresh host. The calling process must be in private namespaces, where it owns /run and /var/lib. */
export class Host {
  readonly name = `host${hosts += 1}`
  readonly #namespaces: string[] = []

  /** @param pods how many containers' namespaces it begins with @throws Error when there are no plugins to test */
  constructor(pods = 0) {
    if (!existsSync(plugins)) throw new Error(`FAIRLEAD_BIN: no directory ${plugins}: build or name another`)
    for (const entry of folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))) {
      if (!foreign.test(entry)) rmSync(entry, { recursive: true })
    }
    this.#add(this.name, ...Array.from({ length: pods }, (_, i) => `${this.name}-pod${i + 1}`))
  }

  /** The names of the containers' namespaces. */
  get pods(): readonly string[] {
    return this.#namespaces.slice(1)
  }

  /** Gives the host a link of that name, up, with the end of a cable that nobody is at. */
  addUplink(name: string): void {
    run('ip', '-n', this.name, 'link', 'add', name, 'up', 'type', 'veth', 'peer', 'name', `${name}-far`)
    run('ip', '-n', this.name, 'link', 'set', `${name}-far`, 'up')
  }

  /** Makes a container's namespace and returns its name. */
  addPod(): string {
    const pod = `${this.name}-pod${this.#namespaces.length}`
    this.#add(pod)
    return pod
  }

  /** What the kernel does to cards when their namespace ends: they go to the host, under the name that they have. */
  returnCards(pod: string): void {
    const links: unknown = JSON.parse(run('ip', '-n', pod, '-j', 'link'))
    for (const { ifname } of links as { ifname: string }[]) {
      if (ifname !== 'lo') run('ip', '-n', pod, 'link', 'set', ifname, 'netns', this.name)
    }
  }

  deletePod(name: string): void {
    run('ip', 'netns', 'del', name)
    this.#namespaces.splice(this.#namespaces.indexOf(name), 1)
  }

  /**
   * Calls a plugin in the host's namespace; `prefix` is what starts it, for example strace.
   *
   * @throws Error when it takes longer than `patience`
   */
  call(verb: string, configuration: Configuration, attachment: Attachment, prefix: string[] = []): Reply {
    const { status, signal, stdout, stderr, error } = spawnSync('nsenter', this.#command(configuration, prefix), {
      input: JSON.stringify(configuration),
      encoding: 'utf8',
      timeout: patience,
      killSignal: 'SIGKILL',
      env: environment(verb, attachment),
    })
    if (error && !unread(error)) throw error
    return { status, signal, stdout, stderr }
  }

  /** The same, while others run. */
  async start(verb: string, configuration: Configuration, attachment: Attachment): Promise<Reply> {
    const child = spawn('nsenter', this.#command(configuration, []), {
      timeout: patience,
      killSignal: 'SIGKILL',
      env: environment(verb, attachment),
    })
    child.stdin.on('error', (error) => {
      if (!unread(error)) throw error
    })
    child.stdin.end(JSON.stringify(configuration))
    const words = [child.stdout.setEncoding('utf8').toArray(), child.stderr.setEncoding('utf8').toArray()] as const
    const [[status, signal], stdout, stderr] = await Promise.all([once(child, 'close'), ...words])
    return { status, signal, stdout: stdout.join(''), stderr: stderr.join('') }
  }

  /** Everything that a plugin could leave on the host and in these namespaces, as lines that compare. */
  facts(...pods: string[]): string[] {
    const names = [this.name, ...pods]
    const looks = names.map((name) => {
      const rules = name === this.name ? 'nft list ruleset' : 'true'
      return `nsenter --net=/run/netns/${name} sh -c '${tables}; echo ${border}; ${sysctls}; echo ${border}; ${rules}'`
    })
    const answers = run('sh', '-ec', looks.join(`; echo ${border};`)).split(`${border}\n`)
    const spaces = names.map((name, i) => {
      const [tables = '', sysctls = '', rules = ''] = answers.slice(3 * i)
      return { name: name === this.name ? 'host' : 'pod', tables, sysctls, rules }
    })
    return factsOf(spaces, this.files().map((path) => ({ path, content: readFileSync(path, 'utf8') })))
  }

  files(): string[] {
    const entries = folders.flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    const paths = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
    return paths.filter((path) => !foreign.test(path))
  }

  close(): void {
    batch(...this.#namespaces.map((name) => `netns del ${name}`))
  }

  #command(configuration: Configuration, prefix: string[]): string[] {
    return [`--net=/run/netns/${this.name}`, ...prefix, join(plugins, configuration.type)]
  }

  #add(...names: string[]): void {
    batch(...names.map((name) => `netns add ${name}`))
    this.#namespaces.push(...names)
  }
}
