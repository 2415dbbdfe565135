// tuning: settings of an interface that another plugin has made, and of its network namespace.
import { requireLink } from '#cni/chained.ts'
import { broken, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { refuseMtu, refuseSmallMtu } from '#cni/interface.ts'
import type { Result } from '#cni/result.ts'
import { create } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { readSysctl, writeSysctl } from '#net/sysctl.ts'
import { findOwnLink } from '#net/veth.ts'
import type { Link, LinkSpec } from '#netlink/route/link.ts'
import { errnoOf, tolerate } from '#sys/errno.ts'
import { validate } from '#build/validators/tuning.js'
import { schema } from './config.ts'
import { collectPast, isOf, joined, readPast, removePast, writePast, type Past } from './past.ts'
import { planOf, requireAllowed, type LinkSettings, type Plan, type Sysctl } from './plan.ts'

const NO_ARGS: ReadonlyMap<string, string> = new Map()

const specOf = ({ mac, mtu, promisc, allmulti, txQLen }: LinkSettings): LinkSpec =>
  ({ address: mac, mtu, promisc, allmulti, txQueueLength: txQLen })

const settingsOf = ({ address: mac, mtu, promisc, allmulti, txQueueLength: txQLen }: Link): LinkSettings =>
  ({ mac, mtu, promisc, allmulti, txQLen })

/** The part of `settings` that `plan` is going to change. */
const changedBy = (plan: LinkSettings, settings: LinkSettings): LinkSettings =>
  Object.fromEntries(Object.entries(settings).filter(([key]) => plan[key as keyof LinkSettings] !== undefined))

const hasAny = (settings: LinkSettings): boolean => Object.values(settings).some(value => value !== undefined)

/** @throws CniError 100 that names key and value when the kernel does not want it so */
const setting = <T>({ key, value }: Sysctl, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    throw new CniError(
      'kernelRefused', `sysctl ${JSON.stringify(key)} ${JSON.stringify(value)} is refused: ${errno}`,
      'try it with `sysctl -w` in the container; some settings are the whole host\'s and cannot be written there',
      { cause: error },
    )
  }
}

/** @throws CniError 7 when the kernel has no such setting */
const valueOf = (sysctl: Sysctl): string => {
  const { key, name } = sysctl
  const value = setting(sysctl, () => readSysctl(name))
  if (value === undefined) throw invalidConfig(`sysctl ${JSON.stringify(key)} does not exist`, 'see `sysctl -a` there')
  return value
}

/** A link's MTU resets that of its IPv6, which may be lower, so settings come last. */
const apply = (pod: Namespace, index: number, { link, sysctls }: Plan): void => {
  if (hasAny(link)) pod.link.set(index, specOf(link))
  pod.run(() => { for (const sysctl of sysctls) setting(sysctl, () => writeSysctl(sysctl.name, sysctl.value)) })
}

/** Puts everything back that still can be. */
const restore = (pod: Namespace, ifName: string, { sysctl = {}, ...past }: Past): void => {
  const { mac, mtu, promisc, allmulti, txQLen } = past
  const before = { mac, mtu, promisc, allmulti, txQLen }
  const link = hasAny(before) ? pod.link.find(ifName) : undefined
  if (link) pod.link.set(link.index, specOf(before))
  // With its interface a setting is gone, too.
  for (const [name, value] of Object.entries(sysctl)) {
    pod.run(() => tolerate(['ENOENT', 'ENOTDIR'], () => writeSysctl(name, value)))
  }
}

/** The result of the chain with what has changed of the interface. */
const updated = (previous: Result, ifName: string, netns: string, { mac, mtu }: LinkSettings): Result => ({
  ...previous,
  interfaces: previous.interfaces.map(entry =>
    entry.name === ifName && entry.sandbox === netns
      ? { ...entry, ...mac && { mac }, ...mtu && entry.mtu ? { mtu } : undefined }
      : entry),
})

export const tuning = driver({
  name: 'tuning',
  kind: 'chained',
  schema,
  validate,
  args: ['MAC'],

  add({ config, args, text, attachment, ifName, netns, pod, previous, undo }) {
    const plan = planOf(config, args, text, ifName)
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'tuning follows another plugin')
    requireAllowed(plan)
    refuseMtu(plan.link.mtu ?? 0)
    refuseSmallMtu(plan.link.mtu ?? 0, previous)
    const nothing = plan.sysctls.length === 0 && !hasAny(plan.link)
    if (nothing) return previous

    const link = requireLink(pod, ifName, 'tuning')
    const before = pod.run(() => Object.fromEntries(plan.sysctls.map(sysctl => [sysctl.name, valueOf(sysctl)])))
    const past = { ...changedBy(plan.link, settingsOf(link)), sysctl: before }
    const earlier = readPast(config.dataDir, attachment)
    const record = joined(attachment, earlier, past)
    const forget = (): void =>
      earlier ? writePast(config.dataDir, attachment, earlier) : removePast(config.dataDir, attachment)
    create(undo, 'record of what was', forget, () => writePast(config.dataDir, attachment, record))
    create(undo, `settings of ${ifName}`, () => restore(pod, ifName, past), () => apply(pod, link.index, plan))
    return updated(previous, ifName, netns, plan.link)
  },

  check({ config, args, text, ifName, netns, pod, previous }) {
    const { interfaces } = requirePrevious(previous)
    const { link: planned, sysctls } = planOf(config, args, text, ifName)
    // A plugin behind this one may have changed the address, and says so.
    const stated = interfaces.find(({ name, sandbox }) => name === ifName && sandbox === netns)?.mac?.toLowerCase()
    const wanted = { ...planned, mac: planned.mac && (stated ?? planned.mac) }
    const link = pod.link.find(ifName)
    if (link === undefined) throw broken(`${ifName} is missing in ${pod.path}`)
    const actual = settingsOf(link)
    for (const [key, value] of Object.entries(wanted)) {
      if (value !== undefined) expect(`${key} of ${ifName}`, actual[key as keyof LinkSettings], value)
    }
    for (const { key, name, value } of sysctls) {
      expect(`sysctl ${key}`, pod.run(() => readSysctl(name))?.replace(/\s+/g, ' '), value.trim().replace(/\s+/g, ' '))
    }
  },

  del({ config, attachment, ifName, host, pod, attempt }) {
    const directory = config.dataDir ?? schema.properties.dataDir.default
    const past = readPast(directory, attachment)
    if (past === undefined || !isOf(attachment, past)) return
    // What another attachment has by now under that name is not to be as ours was.
    const isReplaced = pod?.link.find(ifName) && !findOwnLink(host, pod, attachment)
    attempt(() => { if (pod && !isReplaced) restore(pod, ifName, past) })
    attempt(() => removePast(directory, attachment))
  },

  status({ config, text }) { requireAllowed(planOf(config, NO_ARGS, text, 'eth0')) },

  gc({ config, network, valid, attempt }) {
    attempt(() => collectPast(config.dataDir ?? schema.properties.dataDir.default, network, valid))
  },
})
