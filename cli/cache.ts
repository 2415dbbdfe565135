// The result cache that all users of libcni on a host share: cachedInfo in libcni/api.go of containernetworking/cni.
import { listDirectory, makeDirectory, readText, removeFile, replaceFile } from '#sys/file.ts'
import { encodeResult } from '#cni/encode.ts'
import { isObject, parseObject, type Json } from '#cni/json.ts'
import { readResult } from '#cni/result.ts'
import { oldest } from '#cni/spec.ts'
import type { Attachment } from '#net/attachment.ts'
import { encodeStruct, sorted } from './go-json.ts'
import type { Args, Target } from './request.ts'

const KIND = 'cniCacheV1'

const isPair = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every(part => typeof part === 'string')

const text = (value: unknown): string => typeof value === 'string' ? value : ''

/** The attachment that a record speaks of, undefined when it is none of libcni's. */
const readTarget = (raw: Json): Target | undefined => {
  const [network, containerId, ifName] = [text(raw['networkName']), text(raw['containerId']), text(raw['ifName'])]
  if (raw['kind'] !== KIND || network === '' || containerId === '' || ifName === '') return undefined
  const { cniArgs, capabilityArgs } = raw
  return {
    network, containerId, ifName, netns: text(raw['netns']),
    args: Array.isArray(cniArgs) && cniArgs.every(isPair) ? cniArgs as Args : [],
    capabilityArgs: isObject(capabilityArgs) ? capabilityArgs : {},
  }
}

/** What was attached, and with which result. One file per attachment. */
export class Cache {
  readonly #directory: string

  /** @param stateDirectory /var/lib/cni */
  constructor(stateDirectory: string) { this.#directory = `${stateDirectory}/results` }

  #path({ network, containerId, ifName }: Attachment): string {
    return `${this.#directory}/${network}-${containerId}-${ifName}`
  }

  has(attachment: Attachment): boolean { return readText(this.#path(attachment)) !== undefined }

  /** Remembers an attachment. @param config bytes of the configuration list. @param result of its last plugin */
  write(target: Target, config: Uint8Array, result: Json): void {
    const { containerId, ifName, network, netns, args, capabilityArgs } = target
    const hasCapabilityArgs = Object.keys(capabilityArgs).length > 0
    makeDirectory(this.#directory, 0o700)
    replaceFile(this.#path(target), encodeStruct({
      kind: KIND,
      containerId,
      config: Buffer.from(config).toString('base64'),
      ifName,
      networkName: network,
      netns: netns || undefined,
      cniArgs: args.length > 0 ? args : undefined,
      capabilityArgs: hasCapabilityArgs ? sorted(capabilityArgs) : undefined,
      result: sorted(result),
    }), 0o600)
  }

  /**
   * The result of ADD in the version that the configuration has now; undefined when there is no record. Before
   * libcni 0.8 the file was the result alone.
   * @throws CniError when the record cannot be read
   */
  result(attachment: Attachment, version: string): Json | undefined {
    const found = readText(this.#path(attachment))
    if (found === undefined) return undefined
    const raw = parseObject(Buffer.from(found), this.#path(attachment))
    const result = raw['kind'] === KIND ? raw['result'] ?? {} : raw
    return encodeResult(readResult(isObject(result) ? result : {}, oldest), version)
  }

  /** Forgets an attachment. */
  delete(attachment: Attachment): void { removeFile(this.#path(attachment)) }

  /** The attachments of a network, whoever made them. What cannot be read is left out. */
  list(network: string): Target[] {
    return listDirectory(this.#directory).sort().flatMap(name => {
      try {
        const target = readTarget(parseObject(Buffer.from(readText(`${this.#directory}/${name}`) ?? ''), name))
        return target?.network === network ? [target] : []
      } catch {
        return []
      }
    })
  }
}
