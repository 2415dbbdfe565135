// The shape that each spec version gives a result (SPEC.md, section 5, "Success", of the versions 0.2.0 to 1.1.0).

import { must } from './expect.ts'
import { isObject, type JsonObject } from './json.ts'
import { isIpv6, type Result } from './result.ts'
import { isAtLeast } from './versions.ts'

const onlyKeys = (value: unknown, keys: readonly string[], what: string): void => {
  must(isObject(value), `${what} is ${JSON.stringify(value)}, expected an object`)
  for (const key of Object.keys(value)) must(keys.includes(key), `${what} has the key ${key}`)
}

const list = (value: unknown, what: string): readonly unknown[] => {
  if (value === undefined) return []
  must(Array.isArray(value), `${what} is ${JSON.stringify(value)}, expected a list`)
  return value
}

const legacyShape = (result: Result): void => {
  onlyKeys(result, ['cniVersion', 'ip4', 'ip6', 'dns'], 'the result')
  must(result.ip4 ?? result.ip6, 'the result has neither ip4 nor ip6')
  for (const [key, six] of [['ip4', false], ['ip6', true]] as const) {
    const ip = result[key]
    if (!ip) continue
    onlyKeys(ip, ['ip', 'gateway', 'routes'], key)
    must(ip.ip.includes('/') && isIpv6(ip.ip) === six, `${key}.ip is ${ip.ip}`)
    for (const route of list(ip.routes, `${key}.routes`)) {
      onlyKeys(route, ['dst', 'gw'], `a route of ${key}`)
      must(isIpv6(String((route as JsonObject)['dst'])) === six, `${key} has the route ${JSON.stringify(route)}`)
    }
  }
}

/** Throws unless the result is one of that version, down to the keys that it may have. */
export const mustHaveShape = (result: Result, version: string): void => {
  must(result.cniVersion === version, `cniVersion is ${result.cniVersion}, expected ${version}`)
  if (!isAtLeast(version, '0.3.0')) return legacyShape(result)

  const newest = isAtLeast(version, '1.1.0')
  onlyKeys(result, ['cniVersion', 'interfaces', 'ips', 'routes', 'dns'], 'the result')
  const interfaces = list(result.interfaces, 'interfaces')
  for (const entry of interfaces)
    onlyKeys(entry, ['name', 'mac', 'sandbox', ...(newest ? ['mtu', 'socketPath', 'pciID'] : [])], 'an interface')
  for (const ip of list(result.ips, 'ips')) {
    onlyKeys(ip, ['version', 'address', 'gateway', 'interface'], 'an ip')
    const { version: family, address, interface: index } = ip as JsonObject
    must(typeof address === 'string' && address.includes('/'), `an address is ${JSON.stringify(address)}`)
    const expected = isAtLeast(version, '1.0.0') ? undefined : isIpv6(address) ? '6' : '4'
    const wanted = expected ?? 'no such key'
    must(family === expected, `ips.version of ${address} is ${JSON.stringify(family)}, expected ${wanted}`)
    must(index === undefined || interfaces[Number(index)] !== undefined, `ips.interface of ${address} is ${index}`)
  }
  for (const route of list(result.routes, 'routes'))
    onlyKeys(route, ['dst', 'gw', ...(newest ? ['mtu', 'advmss', 'priority', 'table', 'scope'] : [])], 'a route')
}
