// The first overlay of docs/overlay.md, as it is printed there, on two machines: network and mount namespaces with
// directories and machine ids of their own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { test, type Test } from 'tap'
import type { Namespace } from '../net/namespace.ts'
import { anotherNamespace, connect, kernelLacks, lacks, ownNamespace } from '../tools/kernel.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
const bin = resolve(process.env['FAIRLEAD_BIN'] ?? 'build/bin')

/** The lines behind each `# on …` of the first example. */
const lines = (): ReadonlyMap<string, string> => {
  const [, block = ''] = /## A first overlay[^]*?```sh\n([^]*?)```/.exec(readFileSync('docs/overlay.md', 'utf8'))!
  const parts = block.split(/^# /m).slice(1)
  return new Map(parts.map(part => [part.split('\n', 1)[0]!, part.slice(part.indexOf('\n') + 1)]))
}

/** A machine with empty directories where the lines write, and a shell on it. */
class Shell {
  readonly #process
  #said = ''

  constructor(t: Test, ns: Namespace, name: string, place: string) {
    const boot = `
      for folder in /run /var/lib /etc/cni; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
      mount -t sysfs sysfs /sys
      mkdir /run/netns
      echo ${name.repeat(32)} >/run/machine-id
      mount --bind /run/machine-id /etc/machine-id
      cd "$HOME"
      exec sh`
    const words = ['--pdeathsig', 'KILL', 'unshare', '-m', '-p', '--fork', '--kill-child', 'sh', '-c', boot]
    const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, CNI_PATH: bin, HOME: place }
    this.#process = ns.run(() => spawn('setpriv', words, { env, stdio: ['pipe', 'pipe', 'pipe'] }))
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream.setEncoding('utf8').on('data', text => { this.#said += String(text) })
    t.teardown(async () => {
      this.#process.kill('SIGKILL')
      if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit')
    })
  }

  get said(): string { return this.#said }

  /** Types lines, as a person does who reads what comes before the next one. @returns what was said meanwhile */
  async type(text: string): Promise<string> {
    const from = this.#said.length
    this.#process.stdin.write(`${text}\necho "typed: $?"\n`)
    while (!/typed: \d+\n/.test(this.#said.slice(from))) await once(this.#process.stdout, 'data')
    return this.#said.slice(from)
  }

  /** Until something has been said. */
  async hears(what: RegExp): Promise<void> {
    for (let i = 0; i < 1000 && !what.test(this.#said); i++) await new Promise(resolve => { setTimeout(resolve, 10) })
  }
}

void test('a first overlay on two machines', { skip, timeout: 120_000 }, async t => {
  const place = mkdtempSync('/dev/shm/fairlead-first-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  ownNamespace(t)
  const [one, two] = [anotherNamespace(t), anotherNamespace(t)]
  connect({ ns: one, name: 'eth0', addresses: ['10.0.0.1/24'] }, { ns: two, name: 'eth0', addresses: ['10.0.0.2/24'] })
  // Machines have a way out.
  for (const ns of [one, two])
    ns.route.add({ dst: '0.0.0.0/0', via: '10.0.0.254', dev: ns.link.get('eth0').index })
  const [a, b] = [new Shell(t, one, 'a', place), new Shell(t, two, 'b', place)]
  t.teardown(() => { if (!t.passing()) process.stderr.write(`a:\n${a.said}\nb:\n${b.said}\n`) })
  const parts = lines()
  t.same([...parts.keys()].map(head => head.split(',')[0]), ['on a', 'on a and b', 'on b'])
  const [onA = '', onBoth = '', onB = ''] = parts.values()
  t.ok(onA.split('\n').length + onBoth.split('\n').length + onB.split('\n').length < 14, 'ten lines')
  t.match(await a.type(onA), /network: +blue\n[^]*typed: 0\n$/)
  for (const shell of [a, b]) t.match(await shell.type(onBoth), /"ips"[^]*typed: 0\n$/)
  const address = /"address": "(10\.200\.[\d.]+)\//.exec(a.said)![1]!
  const line = onB.replace(/10\.200\.[\d.]+/, address).replace('ping ', 'ping -c 1 -W 5 ')
  t.match(await b.type(line), / 0% packet loss[^]*typed: 0\n$/)
  const list = await b.type('fairlead host list --store http://10.0.0.1:2379')
  for (const ip of ['10.0.0.1', '10.0.0.2']) t.match(list, new RegExp(`${ip} +alive +1 +blue`))
})

void test('the same on one machine, with nothing installed', { skip, timeout: 60_000 }, async t => {
  const place = mkdtempSync('/dev/shm/fairlead-first-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  ownNamespace(t)
  const alone = anotherNamespace(t)
  const shell = new Shell(t, alone, 'c', place)
  t.teardown(() => { if (!t.passing()) process.stderr.write(shell.said) })
  const [, onBoth = ''] = lines().values()
  const local = onBoth.replace(/ --store \S+/, '')
  t.match(await shell.type('fairlead overlay create blue --subnet 10.200.0.0/16'), /typed: 0\n$/)
  t.match(await shell.type(local), /"ips"[^]*typed: 0\n$/)
  await shell.type('ip netns add other; fairlead add blue other')
  const [, first = ''] = /"address": "(10\.200\.[\d.]+)\//.exec(shell.said)!
  t.match(await shell.type(`ip netns exec other ping -c 1 -W 5 ${first}`), / 0% packet loss/)
})
