// Area A: what kind of process a plugin has to be for its callers (os/exec of Go, pkg/invoke of libcni).

import { symlinkSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import type { Case } from '../case.ts'
import { errorOf, must, mustEqual, resultOf } from '../expect.ts'
import { processes } from '../snapshot.ts'

// Variables with which an operator's shell could make a language runtime load code, print or refuse to start.
const hostile = {
  NODE_OPTIONS: '--require /nonexistent.js',
  NODE_DEBUG: 'fs,net,child_process,module',
  NODE_V8_COVERAGE: '/nonexistent',
  BUN_OPTIONS: '--preload /nonexistent.js',
  BUN_INSPECT: '1',
  GODEBUG: 'inittrace=1',
  PATH: undefined,
  HOME: undefined,
}

export const cases: readonly Case[] = [
  {
    id: 'A34', level: 'DEF', applies: ['ALL'], title: 'foreign env ignored',
    run(world) {
      world.add({ env: { FOO: '1', TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } })
    },
  },
  {
    id: 'A35', level: 'QUAL', applies: ['ALL'], title: 'hostile runtime env',
    run(world) {
      world.add({ env: hostile, cwd: '/' })
    },
  },
  {
    id: 'A36', level: 'DEF', applies: ['ALL'], title: 'slow stdin', needs: ['attach'],
    async run(world) {
      const text = JSON.stringify(world.config('ADD'))
      const { child, reply } = world.start('ADD', {}, true)
      const size = Math.ceil(text.length / 10)
      for (let at = 0; at < text.length; at += size) {
        child.stdin?.write(text.slice(at, at + size))
        await after(200)
      }
      child.stdin?.end()
      resultOf(await reply)
    },
  },
  {
    id: 'A37', level: 'DEF', applies: ['ALL'], title: 'large stdin',
    run(world) {
      const ballast = Object.fromEntries(Array.from({ length: 1024 }, (_, i) => [`unknown${i}`, 'x'.repeat(1010)]))
      world.add({ config: ballast })
    },
  },
  {
    id: 'A38', level: 'DEF', applies: ['ALL'], title: 'no inherited stdio leak', needs: ['attach'],
    async run(world) {
      const { child, reply } = world.start('ADD')
      let exited = 0
      child.on('exit', () => { exited = performance.now() })
      resultOf(await reply)
      const late = performance.now() - exited
      must(late <= 1000, `stdout and stderr stayed open for ${Math.round(late)} ms after the exit`)
      mustEqual(processes().map(({ name }) => name), [], 'the list of processes left')
    },
  },
  {
    id: 'A39', level: 'QUAL', applies: ['ALL'], title: 'unprivileged run', needs: ['attach'],
    run(world) {
      const reply = world.call('ADD', { through: ['setpriv', '--inh-caps=-all', '--bounding-set=-all', '--'] })
      // Handing out an address needs no privilege.
      if (reply.status === 0 && world.subject.profile.kind === 'ipam') return
      const { msg, details } = errorOf(reply)
      must(!/\n\s+at |goroutine \d/.test(`${msg}\n${details}`), `the error is a stack trace: ${msg} ${details}`)
    },
  },
  {
    id: 'A40', level: 'DEF', applies: ['ALL'], title: 'invoked through symlink/other name', needs: ['attach'],
    run(world) {
      symlinkSync(world.subject.executable, world.path('x'))
      world.add({ executable: world.path('x') })
    },
  },
]
