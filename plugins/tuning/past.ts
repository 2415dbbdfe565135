// What an attachment's link and settings were before: a file in the reference plugin's place and form, so that either
// can restore what the other has changed. The reference passes over keys that it does not know.
import { isObject, type Json } from '#cni/json.ts'
import type { Attachment } from '#net/attachment.ts'
import { sha256 } from '#sys/digest.ts'
import { tolerate } from '#sys/errno.ts'
import { listDirectory, makeDirectory, readText, removeFile, writeText } from '#sys/file.ts'
import type { LinkSettings } from './plan.ts'

/** Values of before; `sysctl` by name below /proc/sys/net. */
export interface Past extends LinkSettings {
  readonly network?: string | undefined
  readonly sysctl?: Readonly<Record<string, string>> | undefined
}

const LONGEST = 255 // NAME_MAX of include/uapi/linux/limits.h

type Key = Omit<Attachment, 'network'>

/** The reference plugin's place. */
const plainFileOf = (directory: string, { containerId, ifName }: Key): string =>
  `${directory}/${containerId}_${ifName}.json`

/** Container `c_1` with `eth0` and `c` with `1_eth0` would share it, so names with underscores have another. */
const fileOf = (directory: string, key: Key): string => {
  const plain = plainFileOf(directory, key)
  const isPlain = !key.ifName.includes('_') && plain.length - directory.length - 1 <= LONGEST
  return isPlain ? plain : `${directory}/${sha256(`${key.containerId}/${key.ifName}`)}.json`
}

const textIn = (json: Json, key: string): string | undefined =>
  typeof json[key] === 'string' ? json[key] : undefined
const numberIn = (json: Json, key: string): number | undefined =>
  Number.isInteger(json[key]) ? json[key] as number : undefined
const flagIn = (json: Json, key: string): boolean | undefined =>
  typeof json[key] === 'boolean' ? json[key] : undefined

const readFrom = (path: string): Past | undefined => {
  const text = readText(path)
  if (text === undefined) return undefined
  try {
    const json: unknown = JSON.parse(text)
    if (!isObject(json)) return {}
    const sysctl = isObject(json['sysctl']) ? Object.entries(json['sysctl']) : []
    return {
      network: textIn(json, 'network'), mac: textIn(json, 'mac') || undefined, mtu: numberIn(json, 'mtu') || undefined,
      promisc: flagIn(json, 'promisc'), allmulti: flagIn(json, 'allmulti'), txQLen: numberIn(json, 'txQLen'),
      sysctl: Object.fromEntries(sysctl.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    }
  } catch {
    return {} // what is no JSON says nothing
  }
}

/** The reference plugin's record, which names no network, where ours would have another place. */
const foreignFile = (directory: string, attachment: Attachment): string | undefined => {
  const plain = plainFileOf(directory, attachment)
  if (plain === fileOf(directory, attachment)) return undefined
  const past = tolerate(['ENAMETOOLONG'], () => readFrom(plain))
  return past && past.network === undefined ? plain : undefined
}

/** What was, undefined when nothing is recorded. */
export const readPast = (directory: string, attachment: Attachment): Past | undefined => {
  const own = readFrom(fileOf(directory, attachment))
  const foreign = own ? undefined : foreignFile(directory, attachment)
  return foreign === undefined ? own : readFrom(foreign)
}

/** Whether a record may be an attachment's: another network's container may have had an interface of the same name. */
export const isOf = ({ network }: Pick<Attachment, 'network'>, past: Past): boolean =>
  past.network === undefined || past.network === network

/**
 * Records what was, before anything is changed: half a record, after a crash, says nothing and loses nothing. It is
 * written in place because nobody would find a temporary file of a process that has died.
 */
export const writePast = (directory: string, attachment: Attachment, past: Past): void => {
  makeDirectory(directory, 0o700)
  const text = JSON.stringify({ ...past, network: attachment.network }, undefined, 1)
  writeText(fileOf(directory, attachment), text, 0o600)
}

/**
 * What was before the first tuning of a chain that has several: DEL of the last one restores all of it.
 * @param earlier what is recorded already
 */
export const joined = (attachment: Attachment, earlier: Past | undefined, past: Past): Past =>
  earlier?.network === attachment.network
    ? { ...past, ...present(earlier), sysctl: { ...past.sysctl, ...earlier.sysctl } }
    : past

const present = (past: Past): Past =>
  Object.fromEntries(Object.entries(past).filter(([, value]) => value !== undefined))

/** Forgets what was; fine when nothing is recorded. */
export const removePast = (directory: string, attachment: Attachment): void => {
  const foreign = foreignFile(directory, attachment)
  removeFile(fileOf(directory, attachment))
  if (foreign !== undefined) removeFile(foreign)
}

/** Forgets what a network's dead attachments were. The reference's records name no network, so they stay. */
export const collectPast = (directory: string, network: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.map(attachment => fileOf(directory, attachment)))
  for (const name of listDirectory(directory)) {
    const path = `${directory}/${name}`
    if (name.endsWith('.json') && !keep.has(path) && readFrom(path)?.network === network) removeFile(path)
  }
}
