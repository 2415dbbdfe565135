// Configurations that no two networks can share: a number for each name.

import type { JsonObject } from './json.ts'

const PLACE = '$network'
const USUAL = 'conformance'

/** 88 for the network of most cases, others for others: FNV-1a over the name. */
const numberOf = (name: unknown): number => {
  if (typeof name !== 'string' || name === USUAL) return 88
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return 100 + (hash >>> 0) % 100
}

/** The configuration with the number of its network wherever it says `$network`. */
export const numbered = (config: JsonObject): JsonObject => {
  const text = JSON.stringify(config)
  if (!text.includes(PLACE)) return config
  return JSON.parse(text.replaceAll(PLACE, String(numberOf(config['name'])))) as JsonObject
}
