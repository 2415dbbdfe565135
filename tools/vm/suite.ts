// What runs inside the guest: `suite.ts PART some|all OURS REFERENCE`. Everything that is said goes to stdout, with a
// line `lane: …` at the end of each file or run of the judge.
import { spawnSync } from 'node:child_process'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { counted, inWords, summary } from '#tools/test-output.ts'

/** The plugins whose conformance needs a kernel that tests commonly do not run on. */
const plugins = ['ipvlan', 'vlan', 'dummy', 'vrf']

/** Of the cases those that a kernel decides, and that are not about time or load: all would take half an hour. */
const cases = [
  'E05', 'E06', 'E08', 'E10', 'E15', 'E16', 'E20', 'F01', 'F02', 'F05', 'F08', 'F15', 'G01', 'G05', 'G06', 'G19',
  'H07', 'I06', 'I08',
]

const [part = '', extent, ours = '', reference = ''] = process.argv.slice(2)
const all = extent === 'all'

const run = (name: string, args: readonly string[], env = process.env): void => {
  const begun = Date.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    encoding: 'utf8', maxBuffer: 1 << 28, env,
  })
  const count = counted(summary(stdout), status === 0)
  const seconds = Math.round((Date.now() - begun) / 1000)
  console.log(`# ${name}\n${stdout}${stderr}\nlane: ${name}: ${inWords(count)} (${seconds} s)`)
}

const judge = (name: string, directory: string, ...options: string[]): void =>
  run(name, ['conformance/main.ts', directory, ...options, ...all ? [] : ['--case', cases.join()]])

const present = (directory: string): string => {
  const names = readdirSync(directory)
  return plugins.filter(plugin => names.includes(plugin)).join()
}

const withVlan = ['--plugins', 'bridge', '--plugin-profiles', 'tools/vm/profiles.json']
const known = ['--known', 'reference']

/** Tests that skip where the kernel lacks one of these; the others can do on any what they do. */
const isSkippedElsewhere = (file: string): boolean =>
  /\blacksVlanFiltering\(|\b(kernelLacks|lacksKind)\([^)]*'(ipvlan|vlan|dummy|vrf)'/.test(readFileSync(file, 'utf8'))

const tests = (): void => {
  const files = globSync('plugins/*/*.kernel.test.ts').sort()
  for (const file of all ? files : files.filter(isSkippedElsewhere)) run(file, [file])
}

/** Encrypted overlays, from the wire to several hosts with agents. */
const encryption = (): void => {
  for (const file of globSync('{netlink,net,agent,system}/*.kernel.test.ts').sort())
    if (/\bkernelLacks\('wireguard'\)/.test(readFileSync(file, 'utf8')))
      run(file, [file], { ...process.env, FAIRLEAD_BIN: ours })
}

/** Faults in the ADD of drivers that other kernels lack: of each call one, or of each ninth. */
const faults = (): void => {
  const env = { ...process.env, FAIRLEAD_BIN: ours, FAIRLEAD_FAULTS: all ? '1' : '9' }
  const files = globSync('system/faults/*.kernel.test.ts').sort()
  for (const file of files.filter(isSkippedElsewhere)) run(file, [file], env)
}

const parts: Readonly<Record<string, () => void>> = {
  tests,
  encryption,
  faults,
  links: () => judge('conformance of links', ours, '--plugins', present(ours)),
  bridge: () => judge('conformance of bridge with a VLAN', ours, ...withVlan),
  'control-links': () => judge('links of the reference', reference, '--plugins', present(reference), ...known),
  'control-bridge': () => judge('bridge of the reference with a VLAN', reference, ...withVlan, ...known),
}
parts[part]!()
