// Area K: the file in which a plugin describes a device (device-info-spec 1.1.0, sections 3 and 4).

import { existsSync, readFileSync } from 'node:fs'
import { Skip, type Case } from '../case.ts'
import { must, mustEqual, objectIn } from '../expect.ts'
import { isObject } from '../json.ts'

/** What each type of device has to say. */
const required: Readonly<Record<string, readonly string[]>> = {
  pci: ['pci-address'],
  vdpa: ['parent-device', 'driver', 'path'],
  'vhost-user': ['mode', 'path'],
  memif: ['role', 'path'],
}

export const cases: readonly Case[] = [
  {
    id: 'K23', level: 'CONV', applies: ['interface', 'chained'], title: 'device info file', needs: ['attach'],
    run(world) {
      const file = '/run/conformance/record/devinfo/cni/net-c1_eth0'
      const config = world.config('ADD')
      const runtimeConfig = { ...isObject(config['runtimeConfig']) && config['runtimeConfig'], CNIDeviceInfoFile: file }
      const capabilities = { ...isObject(config['capabilities']) && config['capabilities'], CNIDeviceInfoFile: true }
      world.add({ config: { capabilities, runtimeConfig } })
      if (!existsSync(file)) throw new Skip(`${world.plugin} does not describe its device`)
      const { type, version, ...rest } = objectIn(readFileSync(file, 'utf8'), file)
      must(typeof version === 'string' && /^1\.\d+\.\d+$/.test(version), `version is ${JSON.stringify(version)}`)
      must(typeof type === 'string' && type in required, `type is ${JSON.stringify(type)}`)
      const device = rest[type]
      must(isObject(device), `${file} has no object ${type}`)
      for (const key of required[type] ?? []) mustEqual(typeof device[key], 'string', `the JSON type of ${type}.${key}`)
    },
  },
]
