// Area B: the bytes on stdin, the network's name and its version as JSON (SPEC.md, section 3; Go's encoding/json).

import type { Case } from '../case.ts'
import { refuses, resultOf, type Code } from '../expect.ts'
import type { World } from '../world.ts'

/** ADD with these bytes, made from the text of a valid configuration, is refused. */
const undecodable = (
  id: string, level: Case['level'], title: string, codes: readonly Code[], bytes: (valid: string) => readonly string[],
): Case => ({
  id, level, applies: ['ALL'], title,
  run(world) {
    for (const stdin of bytes(JSON.stringify(world.config('ADD')))) refuses(world.call('ADD', { stdin }), codes)
  },
})

/** ADD with this value for `name` or `cniVersion` is refused. */
const malformed = (id: string, title: string, key: string, value: unknown, code: number): Case => ({
  id, level: 'MUST', applies: ['ALL'], title,
  run(world) {
    refuses(world.call('ADD', { config: { [key]: value } }), [code])
  },
})

const comesAndGoes = (world: World, name: string): void => {
  const attempt = { pod: world.addPod(), config: { name } }
  world.add(attempt)
  world.del(attempt)
}

export const cases: readonly Case[] = [
  undecodable('B01', 'MUST', 'empty stdin', [6], () => ['']),
  undecodable('B02', 'MUST', 'truncated JSON', [6], valid => ['{', valid.slice(0, -1)]),
  undecodable('B03', 'MUST', 'non-object', [6], () => ['[]', '"x"', '5']),
  undecodable('B04', 'DEF', 'null', [6, 7], () => ['null']),
  malformed('B05', 'missing name', 'name', undefined, 7),
  malformed('B06', 'empty name', 'name', '', 7),
  malformed('B07', 'name not a string', 'name', 5, 6),
  malformed('B08', 'cniVersion not a string', 'cniVersion', 5, 6),
  undecodable('B09', 'DEF', 'trailing data', [6], valid => [`${valid} x`, `${valid}${valid}`]),
  undecodable('B10', 'DEF', 'BOM', [6], valid => [`\ufeff${valid}`]),
  {
    id: 'B11', level: 'MUST', applies: ['ALL'], title: 'invalid names',
    run(world) {
      for (const name of ['-a', '_a', 'a/b', 'a b', '..', 'Ü'])
        refuses(world.call('ADD', { config: { name } }), [7], name)
    },
  },
  {
    id: 'B12', level: 'MUST', applies: ['ALL'], title: 'valid names', needs: ['attach'],
    run(world) {
      for (const name of ['a', 'a.b-c_d', 'A..b']) comesAndGoes(world, name)
    },
  },
  {
    id: 'B13', level: 'MUST', applies: ['ALL'], title: 'same validation on DEL/CHECK/GC/STATUS',
    run(world) {
      const newer = world.subject.supported.includes('1.1.0') ? ['GC', 'STATUS'] : []
      world.unchanged(() => {
        for (const verb of ['DEL', 'CHECK', ...newer]) refuses(world.call(verb, { config: { name: '../x' } }), [7])
      })
    },
  },
  {
    id: 'B23', level: 'QUAL', applies: ['ALL'], title: 'name usable as path part', needs: ['attach'],
    run(world) {
      comesAndGoes(world, 'a'.repeat(250))
      const attempt = { config: { name: 'a'.repeat(300) } }
      const before = world.snapshot()
      const reply = world.call('ADD', attempt)
      if (reply.status === 0) {
        resultOf(reply)
        world.del(attempt)
        world.mustBeClean(before)
      } else {
        refuses(reply, [7, 'own'])
        world.mustBe(before)
      }
    },
  },
]
