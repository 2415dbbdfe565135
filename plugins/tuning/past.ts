// What an attachment's link and settings were before: a file in the reference plugin's place and form, so that either
// can restore what the other has changed. The reference passes over keys that it does not know.
import { isObject, type Json } from '#cni/json.ts'
import type { Attachment } from '#net/attachment.ts'
import { sha256 } from '#sys/digest.ts'
import { listDirectory, makeDirectory, readText, removeFile, writeText } from '#sys/file.ts'
import type { LinkSettings } from './plan.ts'

/** Values of before; `sysctl` by name below /proc/sys/net. */
export interface Past extends LinkSettings {
  readonly network?: string | undefined
  readonly sysctl?: Readonly<Record<string, string>> | undefined
}

const LONGEST = 255 // NAME_MAX of include/uapi/linux/limits.h

const fileOf = (directory: string, { containerId, ifName }: Omit<Attachment, 'network'>): string => {
  const name = `${containerId}_${ifName}.json`
  return `${directory}/${name.length > LONGEST ? `${sha256(name)}.json` : name}`
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

/** What was, undefined when nothing is recorded. */
export const readPast = (directory: string, attachment: Attachment): Past | undefined =>
  readFrom(fileOf(directory, attachment))

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
  removeFile(fileOf(directory, attachment))
}

/** Forgets what a network's dead attachments were. The reference's records name no network, so they stay. */
export const collectPast = (directory: string, network: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.map(attachment => fileOf(directory, attachment)))
  for (const name of listDirectory(directory)) {
    const path = `${directory}/${name}`
    if (name.endsWith('.json') && !keep.has(path) && readFrom(path)?.network === network) removeFile(path)
  }
}
