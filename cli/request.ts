// What a plugin is sent, environment and stdin: libcni/api.go and pkg/invoke/args.go of containernetworking/cni.
import type { Variables } from '#cni/environment.ts'
import { CniError } from '#cni/errors.ts'
import { parseObject, type Json } from '#cni/json.ts'
import type { Verb } from '#cni/spec.ts'
import type { Attachment } from '#net/attachment.ts'
import { encodeMap } from './go-json.ts'
import type { NetworkList, PluginConfig } from './network-list.ts'

/** Pairs of CNI_ARGS. */
export type Args = readonly (readonly [key: string, value: string])[]

/** One attachment to make, look at or undo: what libcni calls a RuntimeConf. */
export interface Target extends Attachment {
  /** Path of the network namespace; empty when it is not known any more. */
  readonly netns: string
  readonly args: Args
  /** Values by capability name; each plugin is sent those that it asks for. */
  readonly capabilityArgs: Json
}

/** CNI_ARGS in pairs. @throws CniError 4 on what is no KEY=VALUE */
export const parseArgs = (text: string): Args => text.split(';').filter(pair => pair !== '').map(pair => {
  const at = pair.indexOf('=')
  if (at < 1) {
    const message = `CNI_ARGS: ${JSON.stringify(pair)} is no KEY=VALUE`
    throw new CniError('invalidEnvironment', message, 'separate pairs by semicolons')
  }
  return [pair.slice(0, at), pair.slice(at + 1)] as const
})

/** CAP_ARGS as capability arguments. @throws CniError 6 when it is no JSON object */
export const parseCapabilityArgs = (text: string): Json =>
  text === '' ? {} : parseObject(Buffer.from(text), 'CAP_ARGS')

/**
 * The environment of a plugin: that of this process, and the verb's variables. A verb that concerns no attachment has
 * them all the same, empty.
 * @param path directories of CNI_PATH
 */
export const pluginVariables = (
  variables: Variables, verb: Verb, path: readonly string[], target?: Target,
): Variables => ({
  ...variables,
  CNI_COMMAND: verb,
  CNI_CONTAINERID: target?.containerId ?? '',
  CNI_NETNS: target?.netns ?? '',
  CNI_ARGS: (target?.args ?? []).map(pair => pair.join('=')).join(';'),
  CNI_IFNAME: target?.ifName ?? '',
  CNI_PATH: path.join(':'),
})

/**
 * The keys that a verb on an attachment adds to a plugin's configuration: runtimeConfig with the values of the
 * capabilities that the plugin asks for, if there are any, and prevResult.
 */
export const attachmentKeys = (plugin: PluginConfig, { capabilityArgs }: Target, previous: Json | undefined): Json => {
  const sent = plugin.capabilities.filter(name => Object.hasOwn(capabilityArgs, name))
  return {
    ...(previous === undefined ? {} : { prevResult: previous }),
    ...(sent.length === 0 ? {} : { runtimeConfig: Object.fromEntries(sent.map(name => [name, capabilityArgs[name]])) }),
  }
}

/** The bytes on a plugin's stdin: its configuration, name and version of the list, and what the verb adds. */
export const pluginInput = ({ name, cniVersion }: NetworkList, plugin: PluginConfig, extra: Json): Uint8Array =>
  Buffer.from(encodeMap({ ...plugin.raw, name, cniVersion, ...extra }))
