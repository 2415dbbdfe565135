// The directory of network configurations, /etc/cni/net.d: searched in the order of libcni/conf.go.
import { listDirectory, readBytes, status } from '#sys/file.ts'
import { invalidConfig } from '#cni/errors.ts'
import { lookUp, parseObject } from '#cni/json.ts'
import { isName } from '#cni/spec.ts'
import { encodeMap } from './go-json.ts'
import { nameOf, readList, readPlugin, type NetworkList, type PluginConfig } from './network-list.ts'

/** Files with one of the endings, in the order of their names. */
const filesIn = (directory: string, endings: readonly string[]): string[] =>
  listDirectory(directory).filter(name => endings.some(ending => name.endsWith(ending))).sort()
    .map(name => `${directory}/${name}`).filter(path => status(path)?.isFile)

const pluginsIn = (directory: string): PluginConfig[] =>
  filesIn(directory, ['.conf']).map(path => readPlugin(parseObject(readBytes(path), path), path))

/** A configuration of one plugin, the form before 0.3.0, as a list of one. */
const listOfOne = (path: string): NetworkList => {
  const raw = parseObject(readBytes(path), path)
  const list = { name: lookUp(raw, 'name'), cniVersion: lookUp(raw, 'cniVersion') ?? '', plugins: [raw] }
  return readList(Buffer.from(encodeMap(list)), path, () => [])
}

/**
 * Looks a network up by name: lists (*.conflist) before single plugins (*.conf, *.json), each in the order of their
 * names.
 * @throws CniError 6 or 7 when a file on the way cannot be read, or when no file has the network
 */
export const loadNetwork = (directory: string, name: string): NetworkList => {
  if (!isName(name)) throw invalidConfig(`network name ${JSON.stringify(name)} has a character that is not allowed`)
  const known: string[] = []
  for (const path of filesIn(directory, ['.conflist'])) {
    const bytes = readBytes(path)
    const found = nameOf(parseObject(bytes, path), path)
    if (found === name) return readList(bytes, path, () => pluginsIn(`${directory}/${name}`))
    known.push(found)
  }
  for (const path of filesIn(directory, ['.conf', '.json'])) {
    const raw = parseObject(readBytes(path), path)
    readPlugin(raw, path)
    const found = lookUp(raw, 'name')
    if (found === name) return listOfOne(path)
    if (typeof found === 'string') known.push(found)
  }
  const advice = known.length === 0
    ? 'that directory has no network configuration, or does not exist'
    : `it has ${known.join(', ')}`
  throw invalidConfig(`no network ${JSON.stringify(name)} in ${directory}`, advice)
}
