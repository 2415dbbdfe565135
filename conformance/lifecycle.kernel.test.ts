// The judge judged on areas H to M: plugins with one mistake each, and the cases that have to notice it.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import type { Verdict } from './verdict.ts'

interface Mistake {
  /** Shell in front of the real plugin, `$real`. */
  readonly shell: string
  readonly cases: readonly string[]
}

const result = (ips: string): string => `printf %s '{"cniVersion":"1.1.0","ips":[${ips}]}'; exit 0`
const on = (verb: string, step: string): string => `[ $CNI_COMMAND = ${verb} ] && { ${step}; }`
const then = (step: string): string => `${step}\nexec $real`

/** Fails when the configuration matches a pattern of the shell. */
const balks = (pattern: string): string =>
  `request=$(cat); case $request in ${pattern}) exit 1;; esac\nprintf %s "$request" | $real`

const hostLocal: Readonly<Record<string, Mistake>> = {
  sound: { shell: 'exec $real', cases: [] },
  chatty: { shell: then('[ $CNI_COMMAND = VERSION ] || echo hello'), cases: ['H01', 'I02', 'I07', 'I12'] },
  content: { shell: then(on('STATUS', 'exit 0')), cases: ['H05', 'H09', 'H11'] },
  littering: { shell: then('mkdir -p /run/litter'), cases: ['H08'] },
  impatient: {
    shell: `mkdir /run/busy || { echo '{"code":11,"msg":"busy"}'; exit 1; }
      $real; status=$?; rmdir /run/busy; exit $status`,
    cases: ['H13', 'J03'],
  },
  lazy: { shell: then(on('GC', 'exit 0')), cases: ['I01', 'I03', 'I05', 'I06', 'I09', 'I17'] },
  merciless: {
    shell: then(on('GC', 'rm -f /var/lib/cni/networks/*/10*')),
    cases: ['I01', 'I02', 'I04', 'I08', 'I14', 'I18'],
  },
  thorough: { shell: then(on('GC', 'rm -rf /var/lib/cni/networks/conformance')), cases: ['I13'] },
  narrow: { shell: then(on('GC', '[ "$CNI_CONTAINERID" ] || exit 1')), cases: ['I21', 'I07'] },
  once: { shell: then(on('GC', 'mkdir /run/once || exit 1')), cases: ['I12'] },
  indexed: { shell: `$real | sed 's/"ips":.{/&"interface":0,/'`, cases: ['J01'] },
  curious: { shell: then('[ -e "$CNI_NETNS" ] || exit 1'), cases: ['J02'] },
  inventive: {
    shell: then(on('ADD', result('{"address":"10.88.0.1/24"}'))),
    cases: [
      'J04', 'J05', 'J06', 'J07', 'J08', 'J09', 'J10', 'J11', 'J12', 'J13', 'J14', 'J15', 'J18', 'J19', 'J20', 'J21',
      'J22', 'J26', 'J27',
    ],
  },
  sticky: {
    shell: '$real && exit 0\ntouch /var/lib/cni/networks/conformance/10.88.0.200\nexit 1',
    cases: ['J04', 'J06', 'J07', 'J12'],
  },
  unforgiving: { shell: then(on('DEL', 'exit 1')), cases: ['J16', 'J22', 'H05'] },
  trusting: { shell: then(on('CHECK', 'exit 0')), cases: ['J17'] },
  deaf: { shell: then('unset CNI_ARGS'), cases: ['L02', 'L03', 'L04', 'L05', 'L08', 'J10'] },
  pedantic: {
    shell: then('case $CNI_ARGS in *FOO*|*K8S*|"") exit 1;; esac'),
    cases: ['L01', 'L03', 'L06', 'L07', 'L09'],
  },
}

const bridge: Readonly<Record<string, Mistake>> = {
  flawless: { shell: 'exec $real', cases: [] },
  alone: { shell: then(on('STATUS', 'exit 0')), cases: ['H02', 'H03', 'H04'] },
  idle: { shell: then(on('GC', 'exit 0')), cases: ['I10', 'I11', 'I15', 'I06'] },
  greedy: { shell: then(on('GC', 'ip link del br0')), cases: ['I20'] },
  invasive: { shell: then(on('GC', 'ip -n pod2 address flush dev eth0')), cases: ['I02'] },
  forgetful: { shell: then(on('DEL', 'exit 0')), cases: ['M06', 'H09'] },
  traceless: { shell: then('unset TRACEPARENT'), cases: ['M12'] },
}

const tuning: Readonly<Record<string, Mistake>> = {
  indifferent: { shell: then(on('ADD', result(''))), cases: ['K01', 'K02', 'K03', 'K04', 'K05', 'K08'] },
  fussy: { shell: balks('*:-1*'), cases: ['K08'] },
  empty: { shell: balks(String.raw`*\"\"*`), cases: ['K06', 'K07'] },
  single: { shell: then(on('ADD', 'mkdir /run/once || exit 1')), cases: ['K21'] },
  sprawling: { shell: then('ip netns exec pod1 ip link set eth1 down'), cases: ['K22'] },
}

// The chains of area M are judged as bridge, whoever of them is wrong.
const suites: Readonly<Record<string, Mistake>> = {
  leaking: { shell: then(on('DEL', 'exit 0')), cases: ['M01', 'M02', 'M03', 'M04', 'M05', 'M07', 'M08', 'M09', 'M13'] },
  disordered: { shell: 'exit 1', cases: ['M11', 'M15'] },
}
const pools: Readonly<Record<string, Mistake>> = {
  hoarding: { shell: then(on('GC', 'exit 0')), cases: ['M14'] },
}

const built = join(import.meta.dirname, '../build/bin')
const peer = '/usr/lib/cni'
const lacks = (path: string): string | false => !existsSync(path) && `there is no ${path}`
const skip = process.geteuid?.() !== 0 ? 'namespaces can only be made by root' : lacks(`${built}/bridge`)

const judge = (...args: string[]): Verdict[] => {
  const { stdout, stderr } = spawnSync(process.execPath, [
    '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), '--format', 'json', ...args,
  ], { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (stderr) throw new Error(stderr)
  return (JSON.parse(stdout) as { verdicts: Verdict[] }).verdicts
}

/** A directory with the plugins that are built, `plugin` with its mistake among them. */
const suite = (t: Test, plugin: string, real: string, shell: string): string => {
  const directory = mkdtempSync(join(tmpdir(), 'judge-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const sound of ['bridge', 'host-local', 'loopback'])
    if (sound !== plugin) symlinkSync(`${built}/${sound}`, join(directory, sound))
  const path = join(directory, plugin)
  writeFileSync(path, `#!/bin/sh\nreal=${real}\n${shell}\n`)
  chmodSync(path, 0o755)
  return directory
}

const families = [
  { plugin: 'host-local', judged: 'host-local', bin: built, mistakes: hostLocal },
  { plugin: 'bridge', judged: 'bridge', bin: built, mistakes: bridge },
  { plugin: 'tuning', judged: 'tuning', bin: peer, mistakes: tuning },
  { plugin: 'bridge', judged: 'bridge', bin: built, mistakes: suites },
  { plugin: 'host-local', judged: 'bridge', bin: built, mistakes: pools },
]

for (const { plugin, judged, bin, mistakes } of families) {
  const title = `mistakes of ${plugin} are noticed: ${Object.keys(mistakes).join(', ')}`
  test(title, { skip: skip || lacks(`${bin}/${plugin}`), timeout: 240_000 }, async t => {
    const all = [...new Set(Object.values(mistakes).flatMap(({ cases }) => cases))]
    for (const [name, { shell, cases }] of Object.entries(mistakes)) {
      const asked = (cases.length > 0 ? cases : all).join(',')
      const directory = suite(t, plugin, `${bin}/${plugin}`, shell)
      const failed = judge(directory, '--plugins', judged, '--case', asked, '--driver', '/bin/false', '--with', built)
        .filter(({ outcome }) => outcome === 'fail').map(({ id }) => id)
      for (const id of cases) t.ok(failed.includes(id), `${id} notices the mistake of ${name}`)
      if (cases.length === 0) t.same(failed, [], `nothing is wrong with ${name}`)
    }
  })
}
