// The judge judged: plugins with one mistake each, and the case that has to notice it.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as file, test } from 'tap'
import { profileOf } from './profile.ts'
import type { Verdict } from './verdict.ts'

const ours = join(import.meta.dirname, '../build/bin/host-local')
const real = ['/usr/lib/cni/host-local', '/opt/cni/bin/host-local', ours].find(existsSync)

/** Shell in front of a real host-local, and the cases that have to fail because of it. */
const mistakes: Readonly<Record<string, { readonly shell: string; readonly cases: readonly string[] }>> = {
  sound: { shell: 'exec $real', cases: [] },
  chatty: { shell: 'echo hello; exec $real', cases: ['D01', 'A11', 'A01', 'D02'] },
  yes: { shell: '$real; exit 0', cases: ['A11', 'B02', 'C02'] },
  forgetful: { shell: '[ $CNI_COMMAND = DEL ] && exit 0; exec $real', cases: ['A28'] },
  // Once in each world, for the sake of the cases that make many calls.
  lingering: { shell: 'if [ ! -e /run/once ]; then : > /run/once; sleep 2 & fi; exec $real', cases: ['A38'] },
  daemonic: { shell: 'sleep 2 </dev/null >/dev/null 2>&1 & exec $real', cases: ['A38'] },
  miscoded: { shell: `$real | sed 's/"code": *4/"code":5/'; exit 1`, cases: ['A11'] },
  nameless: { shell: `$real | sed s/CNI_CONTAINERID/ID/g; exit 1`, cases: ['A11'] },
  reserved: { shell: `$real | sed 's/"code": *[0-9]*/"code":12/'; exit 1`, cases: ['D08', 'A11'] },
  mute: { shell: '$real >/dev/null', cases: ['A01', 'D01', 'D12'] },
  crashing: { shell: '[ "$CNI_CONTAINERID" ] || kill -9 $$; exec $real', cases: ['A11', 'D12', 'D06'] },
  littering: { shell: 'mkdir -p /run/litter; exec $real', cases: ['A11', 'C02'] },
  linking: { shell: 'ip link add litter type bridge; exec $real', cases: ['A11', 'C02'] },
  hasty: { shell: 'head -c 20 | $real', cases: ['A36', 'D01'] },
  dated: { shell: `$real | sed 's/"cniVersion": *"[0-9.]*"/"cniVersion":"0.2.0"/'`, cases: ['C01', 'C11'] },
}

const isRoot = process.geteuid?.() === 0
const skip = isRoot ? !real && 'there is no host-local to start from' : 'namespaces can only be made by root'

file.setTimeout(120_000)

// These make dozens of calls, so that only those plugins get them that need them.
const thorough = ['D06', 'D08', 'D12']

const verdictsOn = (directory: string, plugins: readonly string[]): Verdict[] => {
  const cases = new Set(plugins.flatMap(plugin => mistakes[plugin]?.cases ?? []))
  const { stdout, stderr } = spawnSync(process.execPath, [
    '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), directory, '--format', 'json',
    '--plugin-profiles', join(directory, 'profiles.json'),
    '--plugins', plugins.join(','), '--case', [...cases].join(','),
  ], { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (stderr) throw new Error(stderr)
  return (JSON.parse(stdout) as { verdicts: Verdict[] }).verdicts
}

test('each mistake is noticed by the cases that are about it', { skip }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'judge-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const names = Object.keys(mistakes)
  for (const name of names) {
    writeFileSync(join(directory, name), `#!/bin/sh\nreal=${real}\n${mistakes[name]?.shell}\n`)
    chmodSync(join(directory, name), 0o755)
  }
  const profiles = Object.fromEntries(names.map(name => [name, profileOf('host-local')]))
  writeFileSync(join(directory, 'profiles.json'), JSON.stringify(profiles))

  const slow = names.filter(name => mistakes[name]?.cases.some(id => thorough.includes(id)))
  const quick = names.filter(name => !slow.includes(name))
  const verdicts = [...verdictsOn(directory, slow), ...verdictsOn(directory, quick)]
  for (const [name, { cases }] of Object.entries(mistakes)) {
    const failed = verdicts.filter(({ plugin, outcome }) => plugin === name && outcome === 'fail').map(({ id }) => id)
    for (const id of cases) t.ok(failed.includes(id), `${id} notices the mistake of ${name}`)
    if (cases.length === 0) t.same(failed, [], `nothing is wrong with ${name}`)
  }
})
