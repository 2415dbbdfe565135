// firewalld's zones, which a source address belongs to until firewalld is reloaded:
// https://firewalld.org/documentation/man-pages/firewalld.dbus.html, org.fedoraproject.FirewallD1.zone.
import { BusError, SystemBus } from './system-bus.ts'

const NAME = 'org.fedoraproject.FirewallD1'
const BUS = 'org.freedesktop.DBus'

/** What a source belongs to. */
export interface Source { readonly zone: string; readonly address: string }

const withBus = <T>(step: (bus: SystemBus) => T): T | undefined => {
  using bus = SystemBus.open()
  return bus && step(bus)
}

const isOn = (bus: SystemBus): boolean =>
  bus.call({ destination: BUS, path: '/org/freedesktop/DBus', interface: BUS, member: 'NameHasOwner' }, NAME) === true

/** Whether firewalld runs on this host. */
export const isRunning = (): boolean => withBus(isOn) ?? false

/** A source by itself, `10.1.2.3/32`, as zones have it. */
const alone = (address: string): string => {
  const [ip = ''] = address.split('/')
  return `${ip}/${ip.includes(':') ? 128 : 32}`
}

const ask = (bus: SystemBus, member: string, { zone, address }: Source): unknown =>
  bus.call(
    { destination: NAME, path: '/org/fedoraproject/FirewallD1', interface: `${NAME}.zone`, member },
    zone, alone(address))

/** firewalld's own errors: what becomes of them depends on the word in front. */
const accepting = (words: readonly string[], step: () => void): void => {
  try {
    step()
  } catch (error) {
    if (!(error instanceof BusError && words.some(word => error.message.startsWith(`${word}:`)))) throw error
  }
}

const EVERY: Readonly<Record<'isGone' | 'isThere', readonly string[]>> = {
  isThere: ['ZONE_ALREADY_SET', 'ALREADY_ENABLED'],
  isGone: ['UNKNOWN_SOURCE', 'NOT_ENABLED', 'ZONE_CONFLICT', 'INVALID_ZONE'],
}

/**
 * Puts sources into their zones; fine when they are.
 * @throws BusError with firewalld's words, or ServiceUnknown when it does not run
 */
export const add = (sources: readonly Source[]): void => {
  const done = withBus(bus => {
    for (const source of sources) accepting(EVERY.isThere, () => { ask(bus, 'addSource', source) })
    return true
  })
  if (done !== true) throw new BusError(`${BUS}.Error.NoServer`, 'this host has no system bus')
}

/** Takes sources out of their zones. What a firewalld has known that runs no more is gone. */
export const remove = (sources: readonly Source[]): void => {
  withBus(bus => {
    if (!isOn(bus)) return
    for (const source of sources) accepting(EVERY.isGone, () => { ask(bus, 'removeSource', source) })
  })
}

/** The first source that is not in its zone, undefined when all are; all are missing when firewalld does not run. */
export const findMissing = (sources: readonly Source[]): Source | undefined => {
  const found = withBus(bus => isOn(bus)
    ? { missing: sources.find(source => ask(bus, 'querySource', source) !== true) } : undefined)
  return found ? found.missing : sources[0]
}
