// A real firewalld on a bus of its own, for *.kernel.test.ts: installed, or unpacked by tools/unpacked.sh.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

interface Test { teardown(step: () => void): unknown }

const roots = ['/', resolve('build/debian/firewalld')]
const root = roots.find(path => existsSync(join(path, 'usr/sbin/firewalld')))
/** Debian's, which has the modules that Debian installs. */
const PYTHON = '/usr/bin/python3'

/** Reason to skip. */
export const lacksFirewalld = (): string | false => {
  if (root === undefined) return 'no firewalld; `tools/unpacked.sh firewalld`'
  const fails = (...[command, ...words]: readonly [string, ...string[]]): boolean =>
    spawnSync(command, words).status !== 0
  if (fails('sh', '-c', 'command -v dbus-daemon && command -v dbus-send')) return 'no dbus-daemon'
  return fails(PYTHON, '-c', 'import dbus, gi, nftables, firewall') && 'Python lacks dbus, gi, nftables or firewall'
}

const busOf = (socket: string): string => `<busconfig><type>session</type><listen>unix:path=${socket}</listen>
  <auth>EXTERNAL</auth><policy context="default">
  <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

const NAME = 'org.fedoraproject.FirewallD1'

/** firewalld in the namespace that the test is in. */
export class Firewalld {
  /** For DBUS_SYSTEM_BUS_ADDRESS. */
  readonly address: string

  constructor(t: Test) {
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-firewalld-'))
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const socket = join(directory, 'bus')
    this.address = `unix:path=${socket}`
    writeFileSync(join(directory, 'bus.conf'), busOf(socket))
    const start = (command: string, ...args: readonly string[]): void => {
      const env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: this.address }
      const child = spawn(command, args, { env, stdio: 'ignore' })
      t.teardown(() => { child.kill() })
    }
    start('dbus-daemon', `--config-file=${join(directory, 'bus.conf')}`, '--nofork', '--nopidfile')
    this.#await('the bus', () => existsSync(socket))
    start(
      PYTHON, join(root!, 'usr/sbin/firewalld'), '--nofork', '--nopid', '--log-file', join(directory, 'log'),
      '--default-config', join(root!, 'usr/lib/firewalld'), '--system-config', join(root!, 'etc/firewalld'),
    )
    this.#await('firewalld', () => this.#send('org.freedesktop.DBus.Properties.Get', NAME, 'state').includes('RUNNING'))
  }

  /** Whether a source is in a zone, as another program asks. */
  has(zone: string, source: string): boolean {
    return this.#send(`${NAME}.zone.querySource`, zone, source).includes('boolean true')
  }

  /** `firewall-cmd --reload`, which forgets what is not permanent. */
  reload(): void { this.#send(`${NAME}.reload`) }

  #send(method: string, ...args: readonly string[]): string {
    return spawnSync('dbus-send', [
      `--bus=${this.address}`, '--print-reply', `--dest=${NAME}`, '/org/fedoraproject/FirewallD1', method,
      ...args.map(text => `string:${text}`),
    ], { encoding: 'utf8' }).stdout
  }

  #await(what: string, isReady: () => boolean): void {
    for (let attempt = 0; attempt < 100; attempt++) {
      if (isReady()) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
    throw new Error(`${what} does not start`)
  }
}
