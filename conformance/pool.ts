// Address pools of host-local and the records that it keeps of them (host-local's README, "Files").

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { must, mustEqual, resultOf } from './expect.ts'
import type { JsonObject } from './json.ts'
import type { World } from './world.ts'

/** Where host-local keeps the records of networks unless `dataDir` says otherwise. */
export const defaultDirectory = '/var/lib/cni/networks'

/** Plugins that keep host-local's records of what they hand out. */
export const lessors = ['host-local', 'cluster']

/** Configuration keys for a pool of one subnet; `more` are keys of the range beside it. */
export const pool = (subnet: string, more: JsonObject = {}, plugin = 'host-local'): JsonObject =>
  plugin === 'cluster'
    ? { ipam: { type: plugin, agent: 'none', ranges: [{ subnet, ...more }] } }
    : pools([{ subnet, ...more }])

/** Configuration keys for several range sets, each a list of ranges. */
export const pools = (...sets: readonly (readonly JsonObject[])[]): JsonObject =>
  ({ ipam: { type: 'host-local', ranges: sets } })

/** The records of a network: what the file of each address says. */
export const records = (network: string, directory = defaultDirectory): Readonly<Record<string, string>> => {
  const path = join(directory, network)
  if (!existsSync(path)) return {}
  const names = readdirSync(path).filter(name => /^[\d.]+$|:/.test(name)).sort()
  return Object.fromEntries(names.map(name => [name, readFileSync(join(path, name), 'utf8')]))
}

/** Runs `step` and throws when a record has come or gone. */
export const recordsStay = (world: World, step: () => void): void => {
  const before = records(world.network)
  step()
  mustEqual(records(world.network), before, 'the list of records')
}

/** ADDs for containers `full-0` … until one fails. Returns the container ids that got an address. */
export const fill = (world: World, config: JsonObject): string[] => {
  world.requireAttach()
  const ids: string[] = []
  for (;;) {
    const id = `full-${ids.length}`
    const before = records(world.network)
    const reply = world.call('ADD', { config, env: { CNI_CONTAINERID: id } })
    if (reply.status !== 0) {
      mustEqual(records(world.network), before, 'the list of records after the ADD that failed')
      break
    }
    must(ids.length < 20, 'a pool of a few addresses does not run out')
    resultOf(reply)
    ids.push(id)
  }
  must(ids.length > 0, 'the first ADD from an empty pool fails')
  return ids
}
